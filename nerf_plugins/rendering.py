"""Packed samples -> what the rays see: a radiance field evaluated, then composited."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from nerf_plugins.calls import call_size
from nerf_plugins.ops import Composited, PackedSamples, composite
from nerf_plugins.rays import Needs, Points, Rays
from nerf_plugins.spaces import Space

# In a picture a ray's samples are evaluated in rounds of this many, so that opaque rays stop.
_SAMPLES_A_ROUND = 8


@runtime_checkable
class Radiance(Protocol):
    """What is rendered: a radiance field, or something that calls one."""

    @property
    def needs(self) -> Needs:
        """What it asks of points."""
        ...

    def __call__(self, points: Points) -> tuple[Tensor, Tensor]:
        """Densities (n,) and colours (n, 3)."""
        ...


class Rendered(NamedTuple):
    """What the rays see, and the points that it comes from."""

    composited: Composited
    points: Points


def render_samples(
    radiance: Radiance,
    space: Space,
    rays: Rays,
    samples: PackedSamples,
    early_stop_eps: float = 0.0,
    calm_distance: float = 0.0,
) -> Rendered:
    r"""Evaluates every sample and composites; differentiable in the field's parameters.

    Args:
        radiance: the field.
        space: of the rays.
        rays: the rays.
        samples: on them.
        early_stop_eps: transmittance under which a ray ends.
        calm_distance: r > 0 multiplies the gradients of what is at t < r by :math:`(t / r)^2`: a place near a camera is hit by as many
            more of its rays as that, so it would learn faster, and become a cloud. Source: Philip and Deschaintre, Floaters No More:
            Radiance Field Gradient Scaling for Improved Near-Camera Training, 2023, equation 3. Where the space has made cones into
            cylinders, rays are as dense everywhere, and nothing is scaled.
    """
    points = space.points(rays, samples.ray_indices, samples.t_starts, samples.t_ends, radiance.needs)
    sigmas, rgbs = radiance(points)
    if calm_distance > 0.0 and space.ray_shape == "cone":
        share = (0.5 * (samples.t_starts + samples.t_ends) / calm_distance).clamp(max=1.0) ** 2
        sigmas, rgbs = _ScaledGradient.apply(sigmas, share), _ScaledGradient.apply(rgbs, share[:, None])
    packed = (samples.t_starts, samples.t_ends, samples.packed_info)
    return Rendered(composite(sigmas, rgbs, *packed, early_stop_eps=early_stop_eps), points)


class _ScaledGradient(torch.autograd.Function):
    """A tensor as it is, whose gradient is multiplied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factors: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(factors)
        return x.view_as(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (factors,) = ctx.saved_tensors
        return grad * factors, None


def density_weights(samples: PackedSamples, sigmas: Tensor, early_stop_eps: float = 0.0) -> Tensor:
    """Rendering weights (n_samples,) of samples with these densities; differentiable in them, colours are not asked for."""
    rgbs = sigmas.new_zeros(len(sigmas), 3)
    packed = (samples.t_starts, samples.t_ends, samples.packed_info)
    return composite(sigmas, rgbs, *packed, early_stop_eps=early_stop_eps).weights


@torch.no_grad()
def render_samples_in_rounds(
    radiance: Radiance, space: Space, rays: Rays, samples: PackedSamples, early_stop_eps: float
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
        for part in members.split(call_size(sigmas.device)):
            places = (samples.ray_indices[part], samples.t_starts[part], samples.t_ends[part])
            sigmas[part], rgbs[part] = radiance(space.points(rays, *places, radiance.needs))
        thickness = sigmas[members] * (samples.t_ends - samples.t_starts)[members]
        optical_depth.index_add_(0, ray_indices[members], thickness)
    return composite(sigmas, rgbs, samples.t_starts, samples.t_ends, samples.packed_info, early_stop_eps=early_stop_eps)
