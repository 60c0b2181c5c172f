"""One thing out of a scene: what lies in a ball around a point, without the table or floor that it stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from nerf_plugins.errors import InputError
from nerf_plugins.export.parts import connected_parts, keep_faces, keep_vertices
from nerf_plugins.geometry.sampling import Points, sample_mesh

if TYPE_CHECKING:
    from trimesh import Trimesh

THICKNESS = 0.02
"""What is nearer to the table's plane than this, as a share of the radius, is the table."""
_SAMPLES = 4000
_CANDIDATES = 256
_STEEPEST = 0.5
"""Cosine of the angle between a table's normal and the cameras' mean up, at least: 60 degrees, since people photograph from above."""
_SAME_WAY = 0.9
"""Cosine between a plane's normal and that of a point which belongs to it, at least."""
_SUPPORT = 0.1
"""A table has at least this share of the area in the ball."""


class Plane(NamedTuple):
    """The points x with ``normal · x = height``; ``share`` is that of the area which lies in it."""

    normal: Float[np.ndarray, "3"]
    height: float
    share: float


def in_ball(mesh: Trimesh, point: Float[np.ndarray, "3"], radius: float) -> Trimesh:
    """The faces within a ball.

    Raises:
        InputError: there are none; says where the mesh is.
    """
    inside = np.linalg.norm(mesh.vertices - point, axis=1) <= radius
    if not inside[mesh.faces].all(axis=1).any():
        nearest = mesh.vertices[np.linalg.norm(mesh.vertices - point, axis=1).argmin()]
        raise InputError(
            f"point {_text(point)}, radius {radius:g}: nothing of the surface is in this ball; the nearest of it is at {_text(nearest)}"
        )
    return keep_vertices(mesh, inside)


def find_table(mesh: Trimesh, radius: float, up: Float[np.ndarray, "3"], seed: int = 0) -> Plane | None:
    """The plane with the largest area that faces up, of random candidates; None where no plane has a tenth of the area.

    Source: Fischler and Bolles, Random sample consensus, 1981; here a point with its normal is a sample.

    Args:
        mesh: of what is in the ball.
        radius: of the ball.
        up: about the direction that the table faces, a unit vector.
        seed: of the random numbers.
    """
    points = sample_mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces), _SAMPLES, seed)
    assert points.normals is not None
    facing = np.flatnonzero(points.normals @ up > _STEEPEST)
    chosen = np.random.default_rng(seed).permutation(facing)[:_CANDIDATES]
    planes = [_fitted(points, points.positions[i], points.normals[i], radius) for i in chosen]
    best = max(planes, key=lambda plane: plane.share, default=None)
    return best if best is not None and best.share >= _SUPPORT else None


def above_table(mesh: Trimesh, plane: Plane, point: Float[np.ndarray, "3"], radius: float) -> Trimesh:
    """The part of a mesh above a plane that is nearest to a point.

    Raises:
        InputError: nothing is above the plane.
    """
    above = keep_vertices(mesh, mesh.vertices @ plane.normal - plane.height > THICKNESS * radius)
    nearest = np.linalg.norm(above.vertices - point, axis=1).argmin()
    of_face = connected_parts(above).of_face
    return keep_faces(above, of_face == of_face[(above.faces == nearest).any(axis=1).argmax()])


def _fitted(points: Points, position: np.ndarray, normal: np.ndarray, radius: float) -> Plane:
    """A plane through a point, fitted twice to the points that it explains."""
    assert points.normals is not None
    belongs = np.zeros(len(points.positions), bool)
    for _ in range(3):
        near = np.abs((points.positions - position) @ normal) < THICKNESS * radius
        belongs = near & (points.normals @ normal > _SAME_WAY)
        if belongs.sum() < 3:
            break
        position = points.positions[belongs].mean(axis=0)
        axis = np.linalg.svd(points.positions[belongs] - position, full_matrices=False)[2][2]
        normal = axis if axis @ normal > 0.0 else -axis
    return Plane(normal, float(normal @ position), float(belongs.mean()))


def _text(point: np.ndarray) -> str:
    return "(" + ", ".join(f"{x:.3g}" for x in point) + ")"
