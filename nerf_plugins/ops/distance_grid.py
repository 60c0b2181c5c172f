"""Following rays through a grid of distances to a surface."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from nerf_plugins.ops._checks import require_positive, require_same_device, require_tensor

MISSED, HIT, UNSURE = 0, 1, 2
"""What becomes of a ray: it never comes near; it meets the surface where it first comes near; it comes near, and does not."""


class GridHits(NamedTuple):
    """What becomes of rays in a grid of distances."""

    ends: UInt8[Tensor, "n_rays"]
    """:data:`MISSED`, :data:`HIT` or :data:`UNSURE`."""
    t_near: Float[Tensor, "n_rays"]
    """The first step at which the distance is less than ``near``; infinity where none is."""
    t: Float[Tensor, "n_rays"]
    """Where the distance is 0, for a ray that hits; infinity for others."""
    slopes: Float[Tensor, "n_rays"]
    """Of the distance along the ray there, negative; 0 for others."""


@torch.no_grad()
def trace_distance_grid(
    distances: Float[Tensor, "nx ny nz"],
    aabb: Float[Tensor, "2 3"],
    origins: Float[Tensor, "n_rays 3"],
    directions: Float[Tensor, "n_rays 3"],
    t_starts: Float[Tensor, "n_rays"],
    t_ends: Float[Tensor, "n_rays"],
    *,
    near: float,
) -> GridHits:
    """Sphere tracing where the distance is the trilinear interpolation between the vertices of a grid.

    A ray steps as far as the distance says, but at least a quarter of a cell, until the distance is not positive: it hits. Where it comes
    nearer than ``near`` first and leaves again, or ends there, or takes too many steps, nothing is decided: what is thinner than a cell
    may be between its vertices.

    Args:
        distances: to the surface at the vertices, negative inside, in the unit of the box; at least two vertices along each axis. float32.
        aabb: the box that the vertices span, (min, max) corner, float32.
        origins: of the rays, float32.
        directions: theirs, of length 1, float32.
        t_starts: where each begins to look, float32.
        t_ends: and ends; nothing is looked at where that is not after the start. float32.
        near: > 0.

    Returns:
        What becomes of each ray. Not differentiable.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device, or a ``near`` that is not > 0.

    Example:
        The surface is the plane x = 0. The first ray meets it, the second one comes near, the third one is far away.

        >>> x = torch.tensor([1.0, 0.0, -1.0]).view(3, 1, 1)
        >>> origins = torch.tensor([[-1.0, 0.0, 0.0], [-0.125, -1.0, 0.0], [-0.75, -1.0, 0.0]])
        >>> directions = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
        >>> box = torch.tensor([[-1.0] * 3, [1.0] * 3])
        >>> hits = trace_distance_grid(x.repeat(1, 2, 2), box, origins, directions, torch.zeros(3), torch.full((3,), 2.0), near=0.5)
        >>> hits.ends.tolist(), round(hits.t[0].item(), 2), hits.slopes[0].item(), hits.t_near.tolist()
        ([1, 2, 0], 1.0, -1.0, [1.0, 0.0, inf])

    Source: Hart, Sphere tracing: a geometric method for the antialiased ray tracing of implicit surfaces, 1996.
    """
    distances = require_tensor("distances", distances, torch.float32, (None, None, None))
    if min(distances.shape) < 2:
        raise ValueError(f"distances must have two vertices or more along each axis, got {tuple(distances.shape)}")
    aabb = require_tensor("aabb", aabb, torch.float32, (2, 3))
    origins = require_tensor("origins", origins, torch.float32, (None, 3))
    n_rays = len(origins)
    rays = {
        "origins": origins,
        "directions": require_tensor("directions", directions, torch.float32, (n_rays, 3)),
        "t_starts": require_tensor("t_starts", t_starts, torch.float32, (n_rays,)),
        "t_ends": require_tensor("t_ends", t_ends, torch.float32, (n_rays,)),
    }
    near = require_positive("near", near)
    device = require_same_device(distances=distances, aabb=aabb, **rays)

    from nerf_plugins.kernels.distance_grid import trace_distance_grid as kernel
    from nerf_plugins.kernels.launch import launch

    t_near, t, slopes = torch.empty(3, n_rays, device=device).unbind(0)
    hits = GridHits(torch.empty(n_rays, dtype=torch.uint8, device=device), t_near, t, slopes)
    launch(kernel, n_rays, [distances, aabb, *rays.values(), near, t_near, t, slopes, hits.ends], device)
    return hits
