"""Packed samples -> what the rays see: the field evaluated, then composited."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nerf_plugins.ops import Composited, PackedSamples, composite
from nerf_plugins.spaces import BoxSpace, Rays

RadianceFn = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(positions in [-1, 1]^3, unit view directions) -> (sigmas, rgbs)."""

# Samples a network call: small enough for caches and any memory, large enough to keep a device busy.
_SAMPLES_A_CALL = {"cpu": 1 << 14, "cuda": 1 << 18}
# In a picture a ray's samples are evaluated in rounds of this many, so that opaque rays stop.
_SAMPLES_A_ROUND = 8


def render_samples(
    radiance: RadianceFn, space: BoxSpace, rays: Rays, samples: PackedSamples, early_stop_eps: float
) -> Composited:
    """Evaluates every sample and composites; differentiable in the field's parameters."""
    sigmas, rgbs = evaluate_field(radiance, space, rays, samples)
    return composite(sigmas, rgbs, samples.t_starts, samples.t_ends, samples.packed_info, early_stop_eps=early_stop_eps)


def evaluate_field(
    radiance: RadianceFn, space: BoxSpace, rays: Rays, samples: PackedSamples, chosen: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Densities and colours at the midpoints of the samples, or of the chosen ones (their indices)."""
    ray_indices, t_starts, t_ends = samples.ray_indices, samples.t_starts, samples.t_ends
    if chosen is not None:
        ray_indices, t_starts, t_ends = ray_indices[chosen], t_starts[chosen], t_ends[chosen]
    positions = space.field_positions(rays.positions(ray_indices, 0.5 * (t_starts + t_ends)))
    return radiance(positions, rays.viewdirs.index_select(0, ray_indices))


@torch.no_grad()
def render_samples_in_rounds(
    radiance: RadianceFn, space: BoxSpace, rays: Rays, samples: PackedSamples, early_stop_eps: float
) -> Composited:
    """The same values as :func:`render_samples`, for pictures: rays that have become opaque are evaluated no further, and memory is
    bounded by the samples' own arrays.
    """
    sigmas = torch.zeros_like(samples.t_starts)
    rgbs = sigmas.new_zeros(len(sigmas), 3)
    ray_indices, starts = samples.ray_indices.long(), samples.packed_info[:, 0].long()
    rank = torch.arange(len(sigmas), device=sigmas.device) - starts[ray_indices]
    order = torch.argsort(rank // _SAMPLES_A_ROUND, stable=True)
    sizes = torch.bincount(rank // _SAMPLES_A_ROUND).tolist()
    optical_depth = torch.zeros_like(rays.nears)
    opaque = -torch.log(torch.tensor(early_stop_eps)).item()
    for members in order.split(sizes):
        members = members[optical_depth[ray_indices[members]] <= opaque]
        for part in members.split(_SAMPLES_A_CALL[sigmas.device.type]):
            sigmas[part], rgbs[part] = evaluate_field(radiance, space, rays, samples, part)
        thickness = sigmas[members] * (samples.t_ends - samples.t_starts)[members]
        optical_depth.index_add_(0, ray_indices[members], thickness)
    return composite(sigmas, rgbs, samples.t_starts, samples.t_ends, samples.packed_info, early_stop_eps=early_stop_eps)
