"""Points spread evenly by area over surfaces: of meshes, of analytic scenes, of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from nerf_plugins.errors import InputError, near_path
from nerf_plugins.scenes import Scene

_NUDGE = 1e-6
"""How far a point is moved off a surface to ask which side is which, in world units."""
_LINES_AT_ONCE = 1 << 16
"""Arrays of 1.5 MB each: little memory, and few calls for a scene's half million points."""


class Points(NamedTuple):
    """Points of a surface.

    Attributes:
        positions: of the points.
        normals: outward unit normals, or None where they are not known.
        area: of the surface, in squared units of the positions, or None where it is not known.
    """

    positions: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"] | None = None
    area: float | None = None

    def select(self, keep: Bool[np.ndarray, "n"]) -> Points:
        """Some of the points; the area is their share of it."""
        normals = None if self.normals is None else self.normals[keep]
        area = None if self.area is None else self.area * float(keep.mean())
        return Points(self.positions[keep], normals, area)


def sample_mesh(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], count: int, seed: int = 0) -> Points:
    """``count`` random points of a mesh, even by area, with the normals of their faces.

    Args:
        vertices: of the mesh.
        faces: their corners, anti-clockwise seen from outside.
        count: number of points.
        seed: of the random numbers.

    Raises:
        ValueError: the mesh has no area.
    """
    random = np.random.default_rng(seed)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    double_area = np.linalg.norm(cross, axis=1)
    total = float(double_area.sum())
    if not total > 0.0:
        raise ValueError(f"the mesh of {len(faces)} faces has no area")
    # One draw in each of ``count`` equal parts of the area: evener than independent draws.
    place = (np.arange(count) + random.random(count)) * (total / count)
    face = np.minimum(np.searchsorted(np.cumsum(double_area), place, side="right"), len(faces) - 1)
    u, v = random.random((2, count, 1))
    u, v = np.where(u + v > 1.0, 1.0 - u, u), np.where(u + v > 1.0, 1.0 - v, v)
    positions = a[face] + u * (b - a)[face] + v * (c - a)[face]
    return Points(positions, cross[face] / np.maximum(double_area[face], 1e-30)[:, None], 0.5 * total)


def sample_scene(scene: Scene, count: int, seed: int = 0) -> Points:
    """About ``count`` random points of the outside surface of a scene's union, even by area, with exact normals.

    Straight lines with uniformly random direction and offset meet every piece of a surface in proportion to its area, however it is
    turned (Cauchy and Crofton), so the points are where such lines cross the surface. Of what a line crosses, only what has the union's
    outside before it is kept: not what one object hides in another, and not where two objects touch.
    ``L`` lines through a ball of radius ``R`` meet a surface of area ``A`` ``L A / (2 π R²)`` times, which gives the area in turn.
    """
    random = np.random.default_rng(seed)
    centre, radius = scene.bounds.mean(axis=0), 0.5 * float(np.linalg.norm(np.diff(scene.bounds, axis=0)))
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    found = n_lines = 0
    while found < count:
        o, d = _random_lines(centre, radius, _LINES_AT_ONCE, random)
        parts.append(_crossings(scene, o, d))
        found, n_lines = found + len(parts[-1][0]), n_lines + len(o)
        # Some four million lines: what they all miss is too small to be there.
        if found == 0 and n_lines > 64 * _LINES_AT_ONCE:
            raise ValueError("the scene has no surface that lines meet")
    positions, normals = (np.concatenate(arrays) for arrays in zip(*parts))
    keep = random.permutation(found)[:count]
    return Points(positions[keep], normals[keep], found / n_lines * 2.0 * np.pi * radius**2)


def read_points(path: Path, count: int, seed: int = 0) -> Points:
    """A mesh's file as ``count`` random points, a point cloud's as the points in it (PLY, OBJ, GLB and what else trimesh reads).

    Raises:
        InputError: the file cannot be read, or has nothing in it.
    """
    import trimesh

    geometry = _load(path)
    if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
        return sample_mesh(np.asarray(geometry.vertices), np.asarray(geometry.faces), count, seed)
    return Points(np.asarray(geometry.vertices, dtype=np.float64))


def read_mesh(path: Path) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """Vertices and faces of a mesh's file.

    Raises:
        InputError: the file cannot be read, or has no faces.
    """
    geometry = _load(path)
    faces = np.asarray(getattr(geometry, "faces", ()))
    if len(faces) == 0:
        raise InputError(f"{path}: has no faces; give a mesh")
    return np.asarray(geometry.vertices, dtype=np.float64), faces


def _load(path: Path) -> Any:
    """A ``trimesh.Trimesh`` or ``trimesh.PointCloud`` with at least one finite point."""
    import trimesh

    if not path.is_file():
        raise InputError(f"{path}: there is no such file{near_path(path)}")
    try:
        geometry: Any = trimesh.load(path, process=False)
        if isinstance(geometry, trimesh.Scene):
            geometry = geometry.to_geometry()
        vertices = np.asarray(geometry.vertices)
    except Exception as e:  # whatever a reader of some format raises
        raise InputError(f"{path}: cannot be read as a mesh or a point cloud ({e})") from e
    if len(vertices) == 0 or not np.isfinite(vertices).all():
        raise InputError(f"{path}: has {'no points' if len(vertices) == 0 else 'points that are not finite'}")
    return geometry


def _random_lines(
    centre: Float[np.ndarray, "3"], radius: float, count: int, random: np.random.Generator
) -> tuple[Float[np.ndarray, "count 3"], Float[np.ndarray, "count 3"]]:
    """Origins before a ball and unit directions of lines that meet it, uniform among all."""
    d = random.normal(size=(count, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    helper = np.eye(3)[np.abs(d).argmin(axis=1)]
    u = np.cross(d, helper)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    rho, phi = radius * np.sqrt(random.random((count, 1))), 2.0 * np.pi * random.random((count, 1))
    return centre + rho * (np.cos(phi) * u + np.sin(phi) * np.cross(d, u)) - 1.01 * radius * d, d


def _crossings(
    scene: Scene, o: Float[np.ndarray, "n_lines 3"], d: Float[np.ndarray, "n_lines 3"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """All points where lines cross the union's surface, and the normals there."""
    positions, normals = [], []
    while len(o):
        t, index = scene.intersect(o, d)
        hit = np.isfinite(t)
        d, index = d[hit], index[hit]
        p = o[hit] + t[hit, None] * d
        n = scene.normals(p, index)
        outer = scene.sdf(p + _NUDGE * n) > 0.5 * _NUDGE  # the other side is inside the object that was hit
        positions.append(p[outer])
        normals.append(n[outer])
        o = p + _NUDGE * d
    return np.concatenate(positions), np.concatenate(normals)
