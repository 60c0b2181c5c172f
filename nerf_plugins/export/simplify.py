"""Meshes of fewer triangles, and how far they are from the surface that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.export.projection import project
from nerf_plugins.geometry.sampling import sample_mesh

if TYPE_CHECKING:
    from trimesh import Trimesh

_SAMPLES = 20_000
_REACH = 0.02
"""How far the surface is looked for, as a share of the mesh's diagonal."""


class Deviation(NamedTuple):
    """How far a surface is from its mesh, along the faces' normals at random points of these; lengths in the scene's units."""

    mean: float
    most: float
    """99 of 100 points are nearer."""
    missed: float
    """Share of the points that have no surface within 2 % of the mesh's diagonal; the lengths are of the others."""


def simplify(mesh: Trimesh, faces: int) -> Trimesh:
    """A mesh with about as many faces as wanted, without colours; the mesh itself where it has no more.

    Edges are contracted where that moves the planes around them least.

    Source: Garland and Heckbert, Surface Simplification Using Quadric Error Metrics, 1997 (fast-simplification).

    Args:
        mesh: any; where it is open, its border may move.
        faces: the number wanted.

    Raises:
        InputError: nothing is left of the mesh.
    """
    import fast_simplification
    from trimesh import Trimesh

    if len(mesh.faces) <= faces:
        return mesh
    simplified = fast_simplification.simplify(
        np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int32), target_count=faces
    )
    vertices, corners = simplified[:2]
    a, b, c = corners.T
    corners = corners[(a != b) & (b != c) & (c != a)]
    if len(corners) == 0:
        raise InputError(f"faces {faces}: nothing of the mesh is left; give more")
    used, corners = np.unique(corners, return_inverse=True)
    return Trimesh(vertices[used], corners.reshape(-1, 3), process=False)


def deviation(mesh: Trimesh, surface: ImplicitSurface) -> Deviation:
    """How far a mesh, still in the scene's space, is from its surface."""
    points = sample_mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces), _SAMPLES)
    assert points.normals is not None
    positions, normals = (
        torch.from_numpy(x.astype(np.float32)).to(surface.aabb.device) for x in (points.positions, points.normals)
    )
    offsets, found = project(surface, positions, normals, _REACH * diagonal(mesh), steps=8)
    away = offsets[found].abs().cpu().numpy()
    if len(away) == 0:
        return Deviation(float("inf"), float("inf"), 1.0)
    return Deviation(float(away.mean()), float(np.quantile(away, 0.99)), 1.0 - float(found.float().mean()))


def diagonal(mesh: Trimesh) -> float:
    """Of the bounding box."""
    return float(np.linalg.norm(np.ptp(mesh.vertices, axis=0)))
