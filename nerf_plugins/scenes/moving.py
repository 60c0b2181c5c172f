"""The moving scene: rigid objects on a table that stays, with the exact place of every material point at every time in [0, 1].

A crate turns by 120 degrees while it glides, an arm swings about a post and carries a ball, and nothing is where it was.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from nerf_plugins.scenes.arrays import Indices, Vectors
from nerf_plugins.scenes.cameras import GOLDEN_ANGLE
from nerf_plugins.scenes.materials import Material, checker, globe_checker, rings
from nerf_plugins.scenes.placing import turned
from nerf_plugins.scenes.primitives import Box, Capsule, Cylinder, Sphere
from nerf_plugins.scenes.scene import Matrix, Placed, Scene, Vector

FLOOR = -0.5
"""Height of the table's top."""
TABLE_RADIUS = 0.95
HINGE = (-0.25, 0.1, 0.05)
"""What the arm swings about, in the plane of x and z."""
ARM = 0.5
"""Length of the arm, from the hinge to the middle of the ball."""
SWING = (-20.0, 80.0)
"""The arm's angle over the horizon at the times 0 and 1, in degrees."""
TURN = 120.0
"""By how much the crate turns, in degrees."""
GLIDE = ((0.35, -0.55), (0.45, 0.35))
"""Where the crate stands at the times 0 and 1."""


@lru_cache(maxsize=256)
def moving_scene(time: float = 0.0) -> Scene:
    """The scene at a time. Its objects are the same, in the same order, at all times."""
    return Scene(objects=(_table(), _post(), *_arm(time), _crate(time)))


def moved(points: Vectors, index: Indices, before: Scene, after: Scene) -> Vectors:
    r"""Where material points of one scene are in another one of the same objects: :math:`R_1 R_0^T (p - c_0) + c_1`.

    Args:
        points: of the first scene.
        index: the object that each belongs to.
        before: the scene that they are seen in.
        after: the other one.

    Example:
        >>> top = np.array([[0.35, -0.55, FLOOR + 0.36]])  # the middle of the crate's lid
        >>> moved(top, np.array([4]), moving_scene(0.0), moving_scene(1.0)).round(2).tolist()
        [[0.45, 0.35, -0.14]]
    """
    result = np.array(points, dtype=np.float64)
    for k, (old, new) in enumerate(zip(before.objects, after.objects, strict=True)):
        mine = index == k
        result[mine] = old.to_local(result[mine]) @ np.asarray(new.rotation).T + np.asarray(new.position)
    return result


def spread_times(n: int, held_out: bool = False) -> Float[np.ndarray, "n"]:
    """Times of ``n`` views, all over [0, 1] without an order: neighbours are far apart in time.

    Those of training views are ``k / (n - 1)``, the first one 0; held-out ones lie between such, at ``(k + 1/2) / n``.
    """
    rank = np.argsort(np.argsort(np.arange(n) * 0.5 * (np.sqrt(5.0) - 1.0) % 1.0))
    return (rank + 0.5) / n if held_out else rank / max(n - 1, 1)


def still_points(n: int) -> Vectors:
    """Points on the table's top, spread evenly over it; they are where they are at all times, though not always seen."""
    k = np.arange(n) + 0.5
    radius, angle = TABLE_RADIUS * np.sqrt(k / n), GOLDEN_ANGLE * k
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(n, FLOOR)], axis=-1)


def _table() -> Placed:
    wood = Material((0.62, 0.42, 0.24), (0.42, 0.25, 0.13), rings(0.16, 0.35))
    return Placed("table", Cylinder(TABLE_RADIUS, 0.05), wood, (0.0, 0.0, FLOOR - 0.05))


def _post() -> Placed:
    x, y, z = HINGE
    half = 0.5 * (z - FLOOR)
    return Placed("post", Cylinder(0.06, half), Material((0.10, 0.12, 0.16)), (x, y + 0.13, FLOOR + half))


def _arm(time: float) -> tuple[Placed, Placed]:
    """A rod from the hinge, and the ball at its end, which turns with it."""
    angle = np.radians(SWING[0] + time * (SWING[1] - SWING[0]))
    out, up = float(np.cos(angle)), float(np.sin(angle))
    # The shapes' z axis points along the arm, their y axis along the hinge's.
    rotation: Matrix = ((up, 0.0, out), (0.0, 1.0, 0.0), (-out, 0.0, up))
    steel = Material((0.75, 0.10, 0.08))
    globe = Material((0.90, 0.88, 0.80), (0.02, 0.26, 0.36), globe_checker(6, 4))
    x, y, z = HINGE

    def along(length: float) -> Vector:
        return x + length * out, y, z + length * up

    return (
        Placed("arm", Capsule(0.5 * ARM, 0.06), steel, along(0.5 * ARM), rotation),
        Placed("ball", Sphere(0.2), globe, along(ARM), rotation),
    )


def _crate(time: float) -> Placed:
    paint = Material((0.10, 0.25, 0.55), (0.95, 0.80, 0.35), checker(0.18))
    (x0, y0), (x1, y1) = GLIDE
    place = (x0 + time * (x1 - x0), y0 + time * (y1 - y0), FLOOR + 0.18)
    return Placed("crate", Box((0.18, 0.18, 0.18)), paint, place, turned(TURN * time))
