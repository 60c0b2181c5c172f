"""What can be said of the options before anything is read."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nerf_plugins.camera_paths.options import (
    AroundPointOptions,
    ConeOptions,
    DollyOptions,
    InterpolateOptions,
    OrbitOptions,
    PathOptions,
    SpiralOptions,
)
from nerf_plugins.errors import InputError


def check_options(options: PathOptions) -> None:
    """Refuses options that no path can be made from.

    Raises:
        InputError: naming the first of them.
    """
    _at_least("nearest", options.nearest, 1, "training camera")
    _positive("fps", options.fps)
    for name, size in (("height", options.height), ("width", options.width)):
        if size is not None:
            _at_least(name, size, 2, "pixels")
    if options.fov is not None and not 0.0 < options.fov < 180.0:
        raise InputError(f"fov {options.fov:g}: give degrees between 0 and 180")
    if isinstance(options, AroundPointOptions):
        _check_around_point(options)
    elif isinstance(options, InterpolateOptions):
        _at_least("steps", options.steps, 1, "view from one image to the next")


def _check_around_point(options: AroundPointOptions) -> None:
    _at_least("frames", options.frames, 1, "view")
    if not isinstance(options.point, str):
        _finite("point", options.point)
    _direction("up", options.up)
    if isinstance(options, OrbitOptions):
        _check_orbit(options)
    elif isinstance(options, SpiralOptions):
        _direction("axis", options.axis)
        _finite("turns", (options.turns,))
        _angles("angles", options.angles or ())
        _distances(options.distances or ())
    elif isinstance(options, ConeOptions):
        _check_cone(options)
    elif isinstance(options, DollyOptions):
        _direction("direction", options.direction)
        _distances(options.distances or ())


def _check_orbit(options: OrbitOptions) -> None:
    if options.distance is not None:
        _positive("distance", options.distance)
    if options.elevation is not None and not -90.0 <= options.elevation <= 90.0:
        raise InputError(f"elevation {options.elevation:g}: give degrees from -90 to 90")
    _finite("start", (options.start,))
    _finite("arc", (options.arc,))


def _check_cone(options: ConeOptions) -> None:
    _direction("axis", options.axis)
    for name, values in (("angles", options.angles), ("radii", options.radii), ("distances", options.distances)):
        if values == ():
            raise InputError(f"cone: --{name} without a number: give one or more, or leave it out")
    _angles("angles", options.angles or ())
    _distances(options.distances or ())
    for radius in options.radii or ():
        _positive("radii", radius)
    if options.angles and options.radii:
        raise InputError("cone: give angles or radii, not both")
    n_circles, n_distances = len(options.angles or options.radii or ()), len(options.distances or ())
    if n_circles > 1 and n_distances > 1 and n_circles != n_distances:
        raise InputError(f"cone: {n_circles} circles but {n_distances} distances: give one for each, or one for all")


def _at_least(name: str, value: int, least: int, what: str) -> None:
    if value < least:
        raise InputError(f"{name} {value}: give {least} {what} or more")


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise InputError(f"{name} {value:g}: give a number above 0")


def _distances(values: Sequence[float]) -> None:
    for value in values:
        _positive("distances", value)


def _angles(name: str, values: Sequence[float]) -> None:
    for value in values:
        if not 0.0 <= value <= 180.0:
            raise InputError(f"{name} {value:g}: give degrees from 0 to 180")


def _finite(name: str, values: Sequence[float]) -> None:
    if not all(math.isfinite(value) for value in values):
        raise InputError(f"{name} {' '.join(f'{value:g}' for value in values)}: give finite numbers")


def _direction(name: str, values: Sequence[float] | None) -> None:
    if values is None:
        return
    _finite(name, values)
    if not any(values):
        raise InputError(f"{name} 0 0 0: is no direction")
