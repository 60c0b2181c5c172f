"""A surface's distances at the vertices of a grid, fine where it is and coarse elsewhere."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.fields.sdf import Surface
from nerf_plugins.spaces import Space

_COARSEST = 24
"""Cells along the cube's side of the first grid, in which all vertices are evaluated."""
_DOUBLINGS = 3
_STEEPEST = 1.5
"""Slope of the distance up to which no surface is overlooked."""


class DistanceGrid(NamedTuple):
    """Distances to a surface on a grid."""

    distances: Float[Tensor, "nx ny nz"]
    """At its vertices; far from the surface interpolated between vertices of a coarser grid."""
    aabb: Float[Tensor, "2 3"]
    """The box that it spans."""
    cell: float
    """The longest side of a cell."""


@torch.no_grad()
def make_distance_grid(scene: Surface, space: Space) -> DistanceGrid:
    """The distances in the space's box: on a coarse grid, and then three times on one twice as fine wherever a cell may hold the surface.

    A point of a cell is no further than half its diagonal from the nearest corner; so with slopes up to 1.5 a cell holds no surface if all
    its corners are further than 1.5 times that. Others are evaluated anew, and a coarse cell's distances interpolated where it holds none.

    Args:
        scene: the surface.
        space: whose box and unit are those of the field's cube.
    """
    box = space.aabb
    sides = (box[1] - box[0]).tolist()
    cells = [max(round(_COARSEST * side / 2.0), 1) for side in sides]
    distances = _evaluated(scene, space, torch.ones([n + 1 for n in cells], dtype=torch.bool, device=box.device))
    distances = distances.view([n + 1 for n in cells])
    for _ in range(_DOUBLINGS):
        diagonal = sum((side / n) ** 2 for side, n in zip(sides, cells)) ** 0.5
        may_hold = -F.max_pool3d(-distances.abs()[None, None], 2, stride=1) < 0.5 * _STEEPEST * diagonal
        cells = [2 * n for n in cells]
        chosen = _corners(F.interpolate(may_hold.float(), size=cells))
        distances = F.interpolate(
            distances[None, None], size=[n + 1 for n in cells], mode="trilinear", align_corners=True
        )[0, 0]
        distances[chosen] = _evaluated(scene, space, chosen)
    return DistanceGrid(distances, box, max(side / n for side, n in zip(sides, cells)))


def _corners(cells: Float[Tensor, "1 1 nx ny nz"]) -> Tensor:
    """Which vertices are a corner of a cell that is not 0."""
    return F.max_pool3d(F.pad(cells, [1] * 6), 2, stride=1)[0, 0] > 0


def _evaluated(scene: Surface, space: Space, chosen: Tensor) -> Tensor:
    """The distances at the chosen vertices, in their order."""
    low, high = space.aabb
    last = torch.tensor(chosen.shape, device=low.device) - 1
    positions = low + chosen.nonzero() * ((high - low) / last)
    return scene.sdf(space.points_at(positions, scene.field.needs))
