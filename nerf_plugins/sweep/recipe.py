"""The recipe of a sweep: a YAML file, read and checked without nerfstudio."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nerf_plugins.errors import InputError, near


@dataclass(frozen=True)
class Recipe:
    """A grid of runs: every method, with every number of frames, every seed and every combination of the grid's options.

    Option names are those of ``ns-train`` (``pipeline.model.field.W``, ``steps-per-save``); those of the dataparser are
    ``pipeline.datamanager.dataparser.NAME``.
    """

    methods: tuple[str, ...]
    """Names for ns-train; ``name+model.occupancy.steps_per_diagonal=192`` sets options of the pipeline for this method."""
    steps: tuple[int, ...]
    """Each gets a checkpoint; one training reaches them all.
    Schedules that follow the training's length end at the last one: with another the runs are others. Steps in between may be added."""
    name: str
    """Of the folder in output_dir that holds the runs; the file's name unless given."""
    dataparser: str | None = None
    """As ns-train's subcommand; None: the method's own."""
    dataparser_options: tuple[str, ...] = ()
    """``name=value`` each."""
    data: Path | None = None
    """The dataset."""
    frames: tuple[int | None, ...] = (None,)
    """Numbers of training images; null or "all" for all of them."""
    seeds: tuple[int, ...] = (42,)
    """Of nerfstudio (machine.seed)."""
    options: dict[str, Any] = field(default_factory=dict)
    """The same for all runs."""
    grid: dict[str, list[Any]] = field(default_factory=dict)
    """Values to try of each option."""
    output_dir: Path = Path("outputs")
    """As ns-train's."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            line = node.start_mark.line + 1
            raise yaml.constructor.ConstructorError(problem=f"{twice!r} is there twice in what begins in line {line}")
        return super().construct_mapping(node, deep)


def read_recipe(path: Path) -> Recipe:
    """Reads and checks a recipe; methods and options are checked where nerfstudio is loaded (`planned_runs.plan`).

    Raises:
        InputError: it cannot be read, has an unknown key, or a value of the wrong kind.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise InputError(f"recipe {path} cannot be read: {' '.join(str(e).split())}") from e
    if not isinstance(values, dict):
        raise InputError(f"recipe {path} holds no options: give lines like 'methods: [nerf-hash-custom]'")
    known = [f.name for f in dataclasses.fields(Recipe)]
    for key in values:
        if key not in known:
            raise InputError(f"recipe {path}: unknown key {key!r}{near(str(key), known)}")
    for key in ("methods", "steps"):
        if key not in values:
            raise InputError(f"recipe {path}: {key} is missing: give a list")
    checks = {"methods": _names, "steps": _counts(1), "frames": _frames, "seeds": _counts(0), "name": _folder_name}
    checks |= {"dataparser": _text, "dataparser_options": _names, "data": _path, "output_dir": _path}
    checks |= {"options": _mapping, "grid": _grid}
    checked: dict[str, Any] = {"name": path.stem}
    try:
        checked |= {key: checks[key](key, value) for key, value in values.items()}
        return Recipe(**checked)
    except InputError as e:
        raise InputError(f"recipe {path}: {e}") from e


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"{key} is {value!r}: give a name")
    return value


def _folder_name(key: str, value: Any) -> str:
    if "/" in _text(key, value) or value in (".", ".."):
        raise InputError(f"{key} is {value!r}: give the name of a folder, not a path")
    if len(value.encode()) > 255:
        raise InputError(f"{key} is {len(value.encode())} bytes long: no folder's name may have more than 255")
    return value


def _path(key: str, value: Any) -> Path:
    if not isinstance(value, str):
        raise InputError(f"{key} is {value!r}: give a path")
    return Path(value).expanduser()


def _list(key: str, value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise InputError(f"{key} is an empty list: give at least one value")
    seen = [str(v) for v in values]
    twice = sorted({v for v in seen if seen.count(v) > 1})
    if twice:
        raise InputError(f"{key} lists {twice[0]} twice")
    return values


def _names(key: str, value: Any) -> tuple[str, ...]:
    return tuple(_text(key, v) for v in _list(key, value))


def _counts(least: int):
    def check(key: str, value: Any) -> tuple[int, ...]:
        values = _list(key, value)
        for v in values:
            if not isinstance(v, int) or isinstance(v, bool) or v < least:
                raise InputError(f"{key} has {v!r}: give whole numbers of at least {least}")
        return tuple(sorted(values))

    return check


def _frames(key: str, value: Any) -> tuple[int | None, ...]:
    values = _list(key, value)
    numbers = [v for v in values if v not in (None, "all")]
    every = (None,) if len(numbers) < len(values) else ()
    return (*(_counts(2)(key, numbers) if numbers else ()), *every)


def _mapping(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{key} is {value!r}: give lines like 'steps_per_save: 500'")
    names = [str(name).lstrip("-").replace("-", "_") for name in value]
    _list(key, names or [key])  # `steps-per-save` and `steps_per_save` are one option
    return dict(zip(names, value.values()))


def _grid(key: str, value: Any) -> dict[str, list[Any]]:
    return {name: _list(f"{key}: {name}", v) for name, v in _mapping(key, value).items()}
