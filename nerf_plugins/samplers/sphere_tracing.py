"""Where rays first meet a surface: steps as long as the distance, then a search between the last two.

Source: Hart, Sphere tracing: a geometric method for the antialiased ray tracing of implicit surfaces, 1996.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nerf_plugins.fields.sdf import Surface
from nerf_plugins.rays import Rays
from nerf_plugins.spaces import Space

MAX_STEPS = 128
"""A ray that has neither met the surface nor left by then is taken to miss it."""
SHORTEST_STEP = 4e-3
"""In units of the field's cube; so a ray along a surface comes to its end, and thinner things may be missed."""
_REFINEMENTS = 4


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
