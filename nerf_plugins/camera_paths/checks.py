"""What can be said of a shape's options before anything is read; each raises an ``InputError`` that names the option."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nerf_plugins.errors import InputError


def at_least(name: str, value: int, least: int, what: str) -> None:
    """``value >= least``, of something."""
    if value < least:
        raise InputError(f"{name} {value}: give {least} {what} or more")


def positive(name: str, value: float) -> None:
    """A number above 0."""
    if not (math.isfinite(value) and value > 0.0):
        raise InputError(f"{name} {value:g}: give a number above 0")


def finite(name: str, values: Sequence[float]) -> None:
    """Numbers that are neither infinite nor NaN."""
    if not all(math.isfinite(value) for value in values):
        raise InputError(f"{name} {' '.join(f'{value:g}' for value in values)}: give finite numbers")


def distances(name: str, values: Sequence[float]) -> None:
    """Numbers above 0."""
    for value in values:
        positive(name, value)


def angles(name: str, values: Sequence[float]) -> None:
    """Degrees from an axis."""
    for value in values:
        if not 0.0 <= value <= 180.0:
            raise InputError(f"{name} {value:g}: give degrees from 0 to 180")


def time(name: str, value: float) -> None:
    """A time of a moving scene."""
    if not 0.0 <= value <= 1.0:
        raise InputError(f"{name} {value:g}: give one in [0, 1]")


def direction(name: str, values: Sequence[float] | None) -> None:
    """A vector with a direction, or none."""
    if values is None:
        return
    finite(name, values)
    if not any(values):
        raise InputError(f"{name} 0 0 0: is no direction")
