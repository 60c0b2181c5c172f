"""Where rays first meet a surface: steps as long as the distance, then a search between the last two.

In large pictures a grid of distances takes the rays through what is far from the surface, and to where they meet it plainly; the field is
asked where that is exactly, and what becomes of rays that come near and do not meet it.

Source: Hart, Sphere tracing: a geometric method for the antialiased ray tracing of implicit surfaces, 1996.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nerf_plugins.fields.sdf import Surface
from nerf_plugins.ops import GridHits, trace_distance_grid
from nerf_plugins.ops.distance_grid import HIT, UNSURE
from nerf_plugins.rays import Rays
from nerf_plugins.samplers.distance_grid import DistanceGrid
from nerf_plugins.spaces import Space

MAX_STEPS = 128
"""A ray that has neither met the surface nor left by then is taken to miss it."""
SHORTEST_STEP = 4e-3
"""In units of the field's cube; so a ray along a surface comes to its end, and thinner things may be missed."""
_REFINEMENTS = 4
_NEAR = 1.3
"""Cells: at a corner of a cell with a surface in it the distance is no more than its diagonal, and at half of it in the mean."""
_NEWTON_STEPS = 2
_TRUSTED = 0.5
"""Cells: a crossing in the grid whose last step is longer is not one of the field."""


class Hits(NamedTuple):
    """The first crossings from outside to inside.

    Attributes:
        t: where; 0 for rays without.
        hit: which rays have one.
    """

    t: Float[Tensor, "n_rays"]
    hit: Bool[Tensor, "n_rays"]


@torch.no_grad()
def trace(
    scene: Surface, space: Space, rays: Rays, t_starts: Float[Tensor, "n_rays"], t_ends: Float[Tensor, "n_rays"]
) -> Hits:
    """The first point of each ray that is not outside the surface; a ray that starts inside meets it there.

    Args:
        scene: the surface, at its level.
        space: of the rays.
        rays: the rays.
        t_starts: where each begins to look.
        t_ends: and ends.
    """
    t, before = t_starts.clone(), t_starts.clone()
    going = (t_ends > t_starts).nonzero()[:, 0]
    hit = torch.zeros_like(t, dtype=torch.bool)
    for _ in range(MAX_STEPS):
        if len(going) == 0:
            break
        distances = _sdf(scene, space, rays, going, t[going])
        hit[going] = distances <= 0.0
        going, distances = going[distances > 0.0], distances[distances > 0.0]
        before[going] = t[going]
        t[going] += distances.clamp(min=SHORTEST_STEP)
        going = going[t[going] < t_ends[going]]
    met = hit.nonzero()[:, 0]
    t[met] = _between(scene, space, rays, met, before[met], t[met])
    return Hits(torch.where(hit, t, 0.0), hit)


@torch.no_grad()
def trace_with_grid(
    scene: Surface,
    space: Space,
    rays: Rays,
    t_starts: Float[Tensor, "n_rays"],
    t_ends: Float[Tensor, "n_rays"],
    grid: DistanceGrid,
) -> Hits:
    """As :func:`trace`, with a few evaluations of the field a ray. Where the grid has a crossing, Newton's steps with the grid's slope lead
    to that of the field; a ray that the grid is unsure of is traced from where it first comes near.

    Args:
        scene: the surface, at its level.
        space: of the rays; in the units of the field's cube.
        rays: the rays.
        t_starts: where each begins to look.
        t_ends: and ends.
        grid: the distances of this very surface.
    """
    places = (grid.distances, grid.aabb, rays.origins, rays.directions, t_starts, t_ends)
    found = trace_distance_grid(*places, near=_NEAR * grid.cell)
    t, hit, unsure = found.t, found.ends == HIT, found.ends == UNSURE
    met = hit.nonzero()[:, 0]
    nearer, is_crossing = _newton(scene, space, rays, met, found, grid.cell)
    t[met] = torch.minimum(torch.maximum(nearer, t_starts[met]), t_ends[met])
    unsure[met] = ~is_crossing
    again = unsure.nonzero()[:, 0]
    if len(again):
        t[again], hit[again] = trace(scene, space, rays.part(again), found.t_near[again], t_ends[again])
    return Hits(torch.where(hit, t, 0.0), hit)


def _newton(
    scene: Surface, space: Space, rays: Rays, which: Tensor, found: GridHits, cell: float
) -> tuple[Tensor, Tensor]:
    """The crossings of some rays, and which of them converge."""
    t, slopes = found.t[which], found.slopes[which].clamp(max=-0.1)
    steps = torch.zeros_like(t)
    for _ in range(_NEWTON_STEPS):
        steps = -_sdf(scene, space, rays, which, t) / slopes
        t = t + steps.clamp(-cell, cell)
    return t, steps.abs() <= _TRUSTED * cell


def _between(scene: Surface, space: Space, rays: Rays, which: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The crossing between a place outside and one inside, by bisection and a last line through both ends."""
    for _ in range(_REFINEMENTS):
        middle = 0.5 * (low + high)
        outside = _sdf(scene, space, rays, which, middle) > 0.0
        low, high = torch.where(outside, middle, low), torch.where(outside, high, middle)
    d_low, d_high = _sdf(scene, space, rays, which, low), _sdf(scene, space, rays, which, high)
    return low + (high - low) * (d_low / (d_low - d_high).clamp(min=1e-12)).clamp(0.0, 1.0)


def _sdf(scene: Surface, space: Space, rays: Rays, which: Tensor, t: Tensor) -> Tensor:
    return scene.sdf(space.points(rays, which, t, t, scene.field.needs))
