"""Marching cubes in blocks: the triangles where a function crosses a level, in bounded memory and without seams.

The box is cut into a grid of cells, and the grid into blocks, of which one is evaluated at a time, on the surface's device. All its
values are looked at, as no bound on a network's slope is known from which a block could be ruled out.

A vertex lies on an edge of the grid. It is known by that edge, a whole number, and not by its position; so blocks that share a face
share its vertices exactly. Where on the edge it lies is found after the blocks are joined, by bisection with the function itself: linear
interpolation between the ends, fair for a distance, would put the surface of a density, which jumps within a cell, at the same place in
all cells. Where the surface leaves the box it ends with a border; it is closed everywhere else.

Source: Lewiner et al., Efficient implementation of Marching Cubes' cases with topological guarantees, 2003 (scikit-image).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.calls import call_size, in_calls
from nerf_plugins.errors import InputError
from nerf_plugins.export.implicit import ImplicitSurface

Array = npt.NDArray[np.floating]
Indices = npt.NDArray[np.integer]
Track = Callable[[Sequence[Any]], Iterable[Any]]

BLOCK = 128
"""Cells along the side of a block: 2 million values at a time."""
BISECTIONS = 5
"""Evaluations by which a crossing is narrowed down, to 1/32 of an edge, before the last linear interpolation."""


class Triangles(NamedTuple):
    """A mesh in the scene's space; seen from outside, where the function is larger, the corners go anti-clockwise.

    Attributes:
        vertices: `(v, 3)`, float64.
        faces: indices of the corners `(f, 3)`, int64.
    """

    vertices: Array
    faces: Indices


def marching_cubes(surface: ImplicitSurface, resolution: int, block: int = BLOCK, track: Track = iter) -> Triangles:
    """The triangles of a surface.

    Args:
        surface: the function, its level and its box.
        resolution: cells along the box's longest side; the other sides get as many of about that size as fit best.
        block: cells along the side of a block.
        track: passes the list of blocks on, as a progress bar does.

    Raises:
        ValueError: resolution or block is below 1.
        InputError: the function is not finite somewhere, or never crosses the level.
    """
    for name, value in (("resolution", resolution), ("block", block)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    grid = _Grid(surface, resolution)
    parts, span = [], (np.inf, -np.inf)
    for corner in track(grid.blocks(block)):
        values = grid.values(corner, block)
        span = min(span[0], float(values.min())), max(span[1], float(values.max()))
        parts.append(_block_triangles(grid, corner, values))
    crossings, faces = _join([part for part in parts if part is not None])
    if len(faces) == 0:
        raise InputError(
            f"the surface's level {surface.level:g} is never crossed: the function goes from {span[0] + surface.level:g} to "
            f"{span[1] + surface.level:g} in the box; train longer or take a level between these"
        )
    return Triangles(_refine(grid, crossings), faces)


class _Grid:
    """Positions and values of the grid's points; `g = value - level` is below 0 inside."""

    def __init__(self, surface: ImplicitSurface, resolution: int) -> None:
        self.surface = surface
        low, high = surface.aabb.detach().double().cpu().numpy()
        sides = high - low
        self.cells = np.maximum(np.round(sides / sides.max() * resolution), 1).astype(np.int64)
        self.low, self.cell_size = low, sides / self.cells
        # In float32, as the function sees them, and once, so that all blocks see the same.
        self.axes = [
            torch.linspace(float(a), float(b), int(n) + 1, dtype=torch.float64).float().to(surface.aabb.device)
            for a, b, n in zip(low, high, self.cells)
        ]

    def blocks(self, block: int) -> list[tuple[int, int, int]]:
        """The first cell of each block."""
        x, y, z = (range(0, int(n), block) for n in self.cells)
        return list(product(x, y, z))

    def values(self, corner: tuple[int, int, int], block: int) -> npt.NDArray[np.float32]:
        """`g` at the points of a block, of both its faces along each axis."""
        axes = [axis[i : i + block + 1] for axis, i in zip(self.axes, corner)]
        values = self.g(torch.cartesian_prod(*axes)).reshape([len(axis) for axis in axes]).cpu().numpy()
        bad = int(values.size - np.isfinite(values).sum())
        if bad:
            raise InputError(
                f"the function has {bad} values that are not finite in a block of {values.size}: train again"
            )
        return values

    def g(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """The function less its level, float32."""
        size = call_size(positions.device)
        return in_calls(self.surface.value, positions, size=size).float() - self.surface.level

    def g_at(self, points: Array) -> Array:
        """`g` `(n,)` at positions given in cells `(n, 3)`."""
        positions = torch.from_numpy((self.low + points * self.cell_size).astype(np.float32)).to(
            self.surface.aabb.device
        )
        return self.g(positions).cpu().numpy()


class _Crossings(NamedTuple):
    """Vertices, by what they are on.

    Attributes:
        points: `(n, 3)` in cells: for a vertex on an edge its first end, else the vertex itself.
        axis: `(n,)` the edge's axis 0, 1 or 2, or -1 for a vertex that is on none: inside a cell, or at a point of the grid.
        g: `(n, 2)` the function less its level at the edge's ends.
    """

    points: Array
    axis: Indices
    g: Array


def _block_triangles(grid: _Grid, corner: tuple[int, int, int], g: Array) -> tuple[_Crossings, Indices] | None:
    """Vertices and faces of a block; None where the function does not change its sign."""
    from skimage import measure

    if g.min() > 0.0 or g.max() <= 0.0:
        return None
    local, faces, _, _ = measure.marching_cubes(g, 0.0, gradient_direction="descent")
    local = local.astype(np.float64)
    first = np.floor(local)
    between = local > first
    on_edge = between.sum(axis=1) == 1
    axis = np.where(on_edge, between.argmax(axis=1), -1)
    a = first[on_edge].astype(np.int64)
    b = a + np.eye(3, dtype=np.int64)[axis[on_edge]]
    ends = np.zeros((len(local), 2))
    ends[on_edge] = np.stack([g[tuple(a.T)], g[tuple(b.T)]], axis=1)
    points = local + np.asarray(corner, dtype=np.float64)
    points[on_edge] = first[on_edge] + corner
    return _Crossings(points, axis, ends), faces.astype(np.int64)


def _join(parts: list[tuple[_Crossings, Indices]]) -> tuple[_Crossings, Indices]:
    """One list of vertices, each edge once; triangles that have thereby lost a side are dropped."""
    if not parts:
        return _Crossings(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros((0, 2))), np.zeros((0, 3), np.int64)
    counts = np.cumsum([0] + [len(crossings.axis) for crossings, _ in parts])
    faces = np.concatenate([part_faces + start for start, (_, part_faces) in zip(counts, parts)])
    points, axis, g = (np.concatenate(arrays) for arrays in zip(*(crossings for crossings, _ in parts)))
    # The key is exact: whole numbers, or, of a vertex inside a cell, numbers that only one block has.
    key = np.concatenate([points, axis[:, None]], axis=1)
    _, index, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    faces = inverse.reshape(-1)[faces]
    a, b, c = faces.T
    return _Crossings(points[index], axis[index], g[index]), faces[(a != b) & (b != c) & (c != a)]


def _refine(grid: _Grid, crossings: _Crossings) -> Array:
    """Positions `(n, 3)` of the vertices: those on edges where the function crosses its level."""
    points = crossings.points.copy()
    on_edge = np.flatnonzero(crossings.axis >= 0)
    start, along = points[on_edge], np.eye(3)[crossings.axis[on_edge]]
    low, high = np.zeros(len(on_edge)), np.ones(len(on_edge))
    g_low, g_high = crossings.g[on_edge].T.copy()
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        g = grid.g_at(start + middle[:, None] * along)
        beyond = (g > 0.0) == (g_high > 0.0)  # the crossing lies before the middle
        high, g_high = np.where(beyond, middle, high), np.where(beyond, g, g_high)
        low, g_low = np.where(beyond, low, middle), np.where(beyond, g_low, g)
    share = np.where(g_low == g_high, 0.5, g_low / np.where(g_low == g_high, 1.0, g_low - g_high))
    points[on_edge] = start + (low + np.clip(share, 0.0, 1.0) * (high - low))[:, None] * along
    return grid.low + points * grid.cell_size
