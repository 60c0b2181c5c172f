"""The demo scene: a still life on a round table, within [-1, 1]³, z up.

It has what is hard for a radiance field in small: curved and flat faces, edges, a hole to look through, textures of
moderate frequency, a highlight that moves with the view, shadows, and a hoop and rods 0.03 thick.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from nerf_plugins.scenes.materials import Material, checker, globe_checker, rings, sectors, spiral, stripes
from nerf_plugins.scenes.placing import along, rod, turned
from nerf_plugins.scenes.primitives import Box, Cone, Cylinder, Sphere, Torus
from nerf_plugins.scenes.scene import Placed, Scene
from nerf_plugins.scenes.wires import wires_scene

TABLE = -0.56
"""Height of the table's top."""
THIN = 0.015
"""Radius of the hoop and the rods."""


@cache
def demo_scene() -> Scene:
    """The scene; always the same object."""
    return Scene(objects=(_table(), *_ball_and_hoop(), *_around(), *_tripod()))


@cache
def sphere_scene() -> Scene:
    """A ball of radius 0.6."""
    return Scene(objects=(Placed("ball", Sphere(0.6), _globe()),))


@cache
def torus_scene() -> Scene:
    """A ring with a hole: radii 0.5 and 0.2, lying."""
    return Scene(objects=(Placed("ring", Torus(0.5, 0.2), _ring()),))


SCENES = {"demo": demo_scene, "sphere": sphere_scene, "torus": torus_scene, "wires": wires_scene}
"""The embedded scenes by name, for ``demo-data`` and the measures of meshes."""


def _table() -> Placed:
    wood = Material((0.62, 0.42, 0.24), (0.42, 0.25, 0.13), rings(0.16, 0.35))
    return Placed("table", Cylinder(0.93, 0.06), wood, (0.0, 0.0, TABLE - 0.06))


def _ball_and_hoop() -> tuple[Placed, ...]:
    brass = Material((0.80, 0.52, 0.12), specular=0.3, shininess=25.0)
    return (
        Placed("ball", Sphere(0.36), _globe(), (0.0, 0.0, TABLE + 0.36), along((0.35, -0.2, 0.9))),
        Placed("hoop", Torus(0.58, THIN), brass, (0.0, 0.0, TABLE + 0.58 + THIN), along((0.966, 0.259, 0.0))),
    )


def _globe() -> Material:
    return Material((0.90, 0.88, 0.80), (0.02, 0.26, 0.36), globe_checker(6, 4), specular=0.9, shininess=60.0)


def _ring() -> Material:
    return Material((0.95, 0.62, 0.05), (0.80, 0.14, 0.03), sectors(8))


def _around() -> tuple[Placed, ...]:
    cone = Material((0.42, 0.10, 0.45), (0.95, 0.72, 0.80), stripes(2, 0.17))
    crate = Material((0.75, 0.08, 0.08), (0.95, 0.80, 0.62), checker(0.222))
    column = Material((0.05, 0.36, 0.12), (0.85, 0.90, 0.70), spiral(2, 0.22))
    return (
        Placed("ring", Torus(0.19, 0.08), _ring(), (-0.58, -0.32, TABLE + 0.08)),
        Placed("cone", Cone(0.21, 0.58), cone, (0.22, 0.63, TABLE)),
        Placed("crate", Box((0.165, 0.165, 0.165)), crate, (0.46, -0.46, TABLE + 0.165), turned(28.0)),
        Placed("column", Cylinder(0.13, 0.24), column, (-0.50, 0.45, TABLE + 0.24)),
    )


def _tripod() -> tuple[Placed, ...]:
    steel = Material((0.10, 0.12, 0.16))
    lamp = Material((0.95, 0.80, 0.20))
    x, y, apex = 0.66, 0.16, TABLE + 0.70
    angles = np.radians([10.0, 130.0, 250.0])
    feet = [(x + 0.17 * float(np.cos(a)), y + 0.17 * float(np.sin(a)), TABLE) for a in angles]
    legs = [rod(f"leg {k}", foot, (x, y, apex), THIN, steel) for k, foot in enumerate(feet)]
    return (*legs, Placed("lamp", Sphere(0.06), lamp, (x, y, apex)))
