"""Sections of rays between the places where a signed distance was looked up."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.fields.sdf import Surface
from nerf_plugins.ops import PackedSamples
from nerf_plugins.rays import Rays
from nerf_plugins.rendering import density_weights
from nerf_plugins.spaces import Space


def sdf_along(space: Space, rays: Rays, t: Float[Tensor, "n_rays n"], scene: Surface) -> Float[Tensor, "n_rays n"]:
    """Distances at places of each ray."""
    n_rays, n = t.shape
    ray_indices = torch.arange(n_rays, dtype=torch.int32, device=t.device).repeat_interleave(n)
    flat = t.reshape(-1)
    return scene.sdf(space.points(rays, ray_indices, flat, flat, scene.field.needs)).view_as(t)


def section_weights(samples: PackedSamples, optical_depths: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Rendering weights of sections with these optical depths."""
    sigmas = optical_depths / (samples.t_ends - samples.t_starts).clamp(min=1e-10)
    return density_weights(samples, sigmas)
