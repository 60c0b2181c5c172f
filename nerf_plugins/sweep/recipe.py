"""Recipes, of sweeps and of benchmarks: YAML files, read and checked without nerfstudio."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from nerf_plugins.errors import InputError, near

T = TypeVar("T")
Check = Callable[[str, Any], Any]
"""Takes a key and its value in the file, and gives what the key holds, or raises InputError."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is trained, and on what: the keys that the recipes of sweeps and of benchmarks share.

    Option names are those of ``ns-train`` (``pipeline.model.field.W``, ``steps-per-save``); those of the dataparser are
    ``pipeline.datamanager.dataparser.NAME``.
    """

    methods: tuple[str, ...]
    """Names for ns-train; ``name+model.occupancy.steps_per_diagonal=192`` sets options of the pipeline for this method."""
    dataparser: str | None = None
    """As ns-train's subcommand; None: the method's own."""
    dataparser_options: tuple[str, ...] = ()
    """``name=value`` each."""
    data: Path | None = None
    """The dataset."""
    options: dict[str, Any] = field(default_factory=dict)
    """The same for all methods."""


@dataclass(frozen=True, kw_only=True)
class SweepRecipe(Recipe):
    """A grid of runs: every method, with every number of images, every seed and every combination of the grid's options."""

    steps: tuple[int, ...]
    """Each gets a checkpoint; one training reaches them all.
    Schedules that follow the training's length end at the last one: with another the runs are others. Steps in between may be added."""
    name: str
    """Of the folder in output_dir that holds the runs; the file's name unless given."""
    n_images: tuple[int | None, ...] = (None,)
    """Numbers of training images; null or "all" for all of them."""
    seeds: tuple[int, ...] = (42,)
    """Of nerfstudio (machine.seed)."""
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


def read_recipe(path: Path) -> SweepRecipe:
    """Reads and checks a sweep's recipe; methods and options are checked where nerfstudio is loaded (`planned_runs.plan`).

    Raises:
        InputError: it cannot be read, has an unknown key, or a value of the wrong kind.
    """
    keys = read_keys(path, SHARED_KEYS | SWEEP_KEYS, ("methods", "steps"))
    return SweepRecipe(**{"name": path.stem, **keys})


def read_keys(path: Path, checks: Mapping[str, Check], required: Sequence[str] = ("methods",)) -> dict[str, Any]:
    """The values of a recipe, each checked and turned into what its key holds.

    Args:
        path: a YAML file.
        checks: for each key that it may have.
        required: keys that it must have, each a list.

    Raises:
        InputError: it cannot be read, has an unknown key, or a value of the wrong kind.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise InputError(f"recipe {path} cannot be read: {' '.join(str(e).split())}") from e
    if not isinstance(values, dict):
        raise InputError(f"recipe {path} holds no options: give lines like 'methods: [nerf-hash-custom]'")
    for key in values:
        if key in RENAMED:
            raise InputError(f"recipe {path}: the key {key!r} is called {RENAMED[key]!r} now: rename it")
        if key not in checks:
            raise InputError(f"recipe {path}: unknown key {key!r}{near(str(key), checks)}")
    for key in required:
        if key not in values:
            raise InputError(f"recipe {path}: {key} is missing: give a list")
    try:
        return {key: checks[key](key, value) for key, value in values.items()}
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


def count(least: int) -> Callable[[str, Any], int]:
    """A key's check: a whole number."""

    def check(key: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"{key} has {value!r}: give whole numbers of at least {least}")
        return value

    return check


def counts(least: int) -> Callable[[str, Any], tuple[int, ...]]:
    """A key's check: whole numbers, ascending."""
    return lambda key, value: tuple(sorted(list_of(count(least))(key, value)))


def seconds(key: str, value: Any) -> float:
    """A key's check: one length of time."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise InputError(f"{key} has {value!r}: give seconds, a number over 0")
    return float(value)


def list_of(check: Callable[[str, Any], T]) -> Callable[[str, Any], tuple[T, ...]]:
    """A key's check: a list, or one value, of what another check takes."""
    return lambda key, value: tuple(check(key, v) for v in _list(key, value))


def _numbers_of_images(key: str, value: Any) -> tuple[int | None, ...]:
    values = _list(key, value)
    numbers = [v for v in values if v not in (None, "all")]
    every = (None,) if len(numbers) < len(values) else ()
    return (*(counts(2)(key, numbers) if numbers else ()), *every)


def _mapping(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{key} is {value!r}: give lines like 'steps_per_save: 500'")
    names = [str(name).lstrip("-").replace("-", "_") for name in value]
    _list(key, names or [key])  # `steps-per-save` and `steps_per_save` are one option
    return dict(zip(names, value.values()))


def _grid(key: str, value: Any) -> dict[str, list[Any]]:
    return {name: _list(f"{key}: {name}", v) for name, v in _mapping(key, value).items()}


SHARED_KEYS: dict[str, Check] = {
    "methods": list_of(_text),
    "dataparser": _text,
    "dataparser_options": list_of(_text),
    "data": _path,
    "options": _mapping,
}
"""The checks of a :class:`Recipe`'s keys."""
SWEEP_KEYS: dict[str, Check] = {
    "steps": counts(1),
    "n_images": _numbers_of_images,
    "seeds": counts(0),
    "name": _folder_name,
    "grid": _grid,
    "output_dir": _path,
}
"""Those that a :class:`SweepRecipe` has besides."""
RENAMED = {"frames": "n_images"}
"""Keys of earlier recipes."""
