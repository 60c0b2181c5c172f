"""From points near a surface onto it, and the surface's normals: what a texture and a simplified mesh are measured by."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from nerf_plugins.calls import call_size, in_calls
from nerf_plugins.export.implicit import ImplicitSurface

_TETRAHEDRON = ((1.0, -1.0, -1.0), (-1.0, -1.0, 1.0), (-1.0, 1.0, -1.0), (1.0, 1.0, 1.0))


class Projected(NamedTuple):
    """Where lines through points cross the surface.

    Attributes:
        offsets: along the unit normal to the crossing, in the surface's units; 0 where there is none.
        found: whether there is one within reach.
    """

    offsets: Float[Tensor, "n"]
    found: Bool[Tensor, "n"]


@torch.no_grad()
def project(
    surface: ImplicitSurface,
    positions: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    reach: float,
    steps: int = 3,
) -> Projected:
    """Finds the crossing next to each point along its outward normal: inwards from a point outside, outwards from one inside.

    By regula falsi with the Illinois weights, so that a function which is no distance is followed too.

    Args:
        surface: the function and its level.
        positions: of the points.
        normals: outward unit normals.
        reach: how far a crossing is looked for.
        steps: evaluations after those of the two ends.
    """
    a, g_a = torch.zeros_like(positions[:, 0]), above(surface, positions)
    b = torch.where(g_a > 0.0, -reach, reach)
    g_b = above(surface, positions + b[:, None] * normals)
    found = (g_a > 0.0) != (g_b > 0.0)
    for _ in range(steps):
        c = _between(a, b, g_a, g_b)
        g_c = above(surface, positions + c[:, None] * normals)
        same_as_b = (g_c > 0.0) == (g_b > 0.0)
        # The end that stays counts half, or else one end may stay forever.
        a, g_a = torch.where(same_as_b, a, b), torch.where(same_as_b, 0.5 * g_a, g_b)
        b, g_b = c, g_c
    return Projected(torch.where(found, _between(a, b, g_a, g_b), 0.0), found)


@torch.no_grad()
def surface_normals(surface: ImplicitSurface, positions: Float[Tensor, "n 3"], eps: float) -> Float[Tensor, "n 3"]:
    """Outward unit normals: the direction in which the function grows, by its values at the corners of a tetrahedron within ``± eps``."""
    gradient = torch.zeros_like(positions)
    for corner in _TETRAHEDRON:
        offset = torch.tensor(corner, device=positions.device)
        gradient += above(surface, positions + eps * offset)[:, None] * offset
    return F.normalize(gradient, dim=-1)


def above(surface: ImplicitSurface, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """The function less its level, float32; evaluated a few points at a time."""
    return in_calls(surface.value, positions, size=call_size(positions.device)).float() - surface.level


def _between(a: Tensor, b: Tensor, g_a: Tensor, g_b: Tensor) -> Tensor:
    """Where the line through both ends is 0; the middle where it is level."""
    difference = g_b - g_a
    share = torch.where(difference == 0.0, 0.5, -g_a / torch.where(difference == 0.0, 1.0, difference))
    return a + share.clamp(0.0, 1.0) * (b - a)
