"""Wires and rods from five pixels of a picture down to less than one: what thin things need."""

from __future__ import annotations

from functools import cache

import numpy as np

from nerf_plugins.scenes.materials import Material, rings
from nerf_plugins.scenes.placing import along, halfway, rod
from nerf_plugins.scenes.primitives import Cylinder, Torus
from nerf_plugins.scenes.scene import Placed, Scene, Vector

THICKNESSES = (0.06, 0.04, 0.025, 0.016, 0.01)
"""Diameters of the wires; a pixel of a picture at 200x200 is 0.012 wide there."""

_FLOOR = -0.6
_TOP = 0.3
_FROM_MIDDLE = 0.55
_HOOP = 0.16


@cache
def wires_scene() -> Scene:
    """For each thickness two rods that lean against each other, a bar across and a hoop on top, on a round table within [-1, 1]³; objects
    of one thickness have one name.
    """
    frames = [part for k, thickness in enumerate(THICKNESSES) for part in _frame_of_wire(72.0 * k, thickness)]
    return Scene(objects=(_table(), *frames))


def _table() -> Placed:
    wood = Material((0.70, 0.62, 0.50), (0.55, 0.45, 0.34), rings(0.16, 0.35))
    return Placed("table", Cylinder(0.9, 0.05), wood, (0.0, 0.0, _FLOOR - 0.05))


def _frame_of_wire(degrees: float, thickness: float) -> tuple[Placed, ...]:
    """The frame stands ``degrees`` round the table and looks at its middle."""
    name, radius = f"wires {thickness:g} thick", 0.5 * thickness
    steel = Material((0.13, 0.15, 0.20))
    apex = _around(degrees, _TOP)
    feet = [_around(degrees + side, _FLOOR) for side in (-22.0, 22.0)]
    bar = [halfway(foot, apex) for foot in feet]
    hoop_place = _around(degrees, _TOP + _HOOP)
    return (
        *(rod(name, foot, apex, radius, steel) for foot in feet),
        rod(name, bar[0], bar[1], radius, steel),
        Placed(name, Torus(_HOOP, radius), steel, hoop_place, along((hoop_place[0], hoop_place[1], 0.0))),
    )


def _around(degrees: float, z: float) -> Vector:
    angle = np.radians(degrees)
    return _FROM_MIDDLE * float(np.cos(angle)), _FROM_MIDDLE * float(np.sin(angle)), z
