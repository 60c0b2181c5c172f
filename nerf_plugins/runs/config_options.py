"""Options of nested configs by their dotted names, checked as ns-train would."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from nerf_plugins.errors import InputError, near

N_IMAGES = "pipeline.datamanager.subset.n_images"
"""The option of this package's data manager that says how many images are trained on."""


def with_option(config: Any, name: str, value: Any) -> Any:
    """A config with one option set; neither it nor its parts are changed in place, so frozen ones will do.

    Args:
        config: a dataclass, of dataclasses and dicts.
        name: ``a.b.c``; dashes are underscores.
        value: as YAML gives it, or a string as on the command line; converted to the option's type.

    Raises:
        InputError: there is no such option (with the names that are near), or the value is of another type.
    """
    return _set(config, name.replace("-", "_").split("."), value, name)


def schedules_without_end(config: Any) -> list[str]:
    """Names of the options ``max_steps`` of learning rate schedules that leave them out and so end with the training."""
    schedulers = {name: group.get("scheduler") for name, group in config.optimizers.items()}
    return [
        f"optimizers.{name}.scheduler.max_steps" for name, s in schedulers.items() if getattr(s, "max_steps", 0) is None
    ]


def _set(node: Any, path: Sequence[str], value: Any, name: str) -> Any:
    key, *rest = path
    if isinstance(node, dict):
        members = dict(node)
    elif dataclasses.is_dataclass(node):
        members = {f.name: getattr(node, f.name) for f in dataclasses.fields(node) if f.name != "_target"}
    else:
        raise InputError(f"option {name}: what is before {'.'.join(path)} has no options")
    if key not in members:
        prefix = name.replace("-", "_")[: -len(".".join(path))]
        raise InputError(f"unknown option {name}{near(key, map(str, members), prefix)}")
    if rest:
        changed = _set(members[key], rest, value, name)
    elif dataclasses.is_dataclass(members[key]) or isinstance(members[key], dict):
        raise InputError(
            f"option {name} is a group of options: give one of them, such as {name}.{_first(members[key])}"
        )
    else:
        hint = type(members[key]) if isinstance(node, dict) else typing.get_type_hints(type(node))[key]
        changed = _converted(hint, value, name)
    if isinstance(node, dict):
        return node | {key: changed}
    instance: Any = node
    return dataclasses.replace(instance, **{key: changed})


def _first(group: Any) -> str:
    names = group if isinstance(group, dict) else (f.name for f in dataclasses.fields(group) if f.name != "_target")
    return next(iter(names), "NAME")


def _converted(hint: Any, value: Any, name: str) -> Any:
    """The value as tyro, and so ns-train, reads it for a type."""
    is_path = Path in (hint, *typing.get_args(hint))  # the one kind of single value that may hold spaces
    whole = [str(value)] if is_path else str(value).split(" ")
    tokens = [str(v) for v in value] if isinstance(value, list) else whole
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            return tyro.cli(hint, args=tokens)
    except SystemExit:
        wanted = getattr(hint, "__name__", None) if isinstance(hint, type) else str(hint).replace("typing.", "")
        raise InputError(f"option {name} is {value!r}: give a value of type {wanted}") from None
