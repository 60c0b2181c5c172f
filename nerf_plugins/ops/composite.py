"""Compositing packed samples along rays: colour, accumulation, depth and weights, with gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_positive, require_same_device, require_tensor


class Composited(NamedTuple):
    """What the rays see."""

    rgb: Float[Tensor, "n_rays 3"]
    """Colour, not yet blended with a background."""
    accumulation: Float[Tensor, "n_rays"]
    """Opacity of the ray in [0, 1]."""
    depth: Float[Tensor, "n_rays"]
    """Expected ``t`` of what the ray hits; 0 where it hits nothing."""
    median_depth: Float[Tensor, "n_rays"]
    """``t`` by which half of the accumulation has been gathered; no gradient."""
    weights: Float[Tensor, "n_samples"]
    """Weight of each sample; 0 in padding."""


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        sigmas: Tensor,
        rgbs: Tensor,
        t_starts: Tensor,
        t_ends: Tensor,
        packed_info: Tensor,
        early_stop_eps: float,
    ) -> tuple[Tensor, ...]:
        from nerf_plugins.kernels.composite import composite_forward
        from nerf_plugins.kernels.launch import launch

        n_rays = packed_info.shape[0]
        rgb = sigmas.new_empty(n_rays, 3)
        accumulation, depth, median_depth = sigmas.new_empty(3, n_rays).unbind(0)
        weights, transmittance = sigmas.new_zeros(2, len(sigmas)).unbind(0)
        samples = [sigmas, rgbs, t_starts, t_ends, packed_info]
        outputs = [rgb, accumulation, depth, median_depth, weights, transmittance]
        launch(composite_forward, n_rays, [*samples, early_stop_eps, *outputs], sigmas.device)
        ctx.save_for_backward(*samples, weights, transmittance, accumulation, depth)
        ctx.mark_non_differentiable(median_depth)
        ctx.set_materialize_grads(False)
        return rgb, accumulation, depth, median_depth, weights

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any,
        grad_rgb: Tensor | None,
        grad_accumulation: Tensor | None,
        grad_depth: Tensor | None,
        _: Tensor | None,
        grad_weights: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        from nerf_plugins.kernels.composite import composite_backward
        from nerf_plugins.kernels.launch import launch

        saved = ctx.saved_tensors
        sigmas, rgbs, packed_info = saved[0], saved[1], saved[4]
        if all(grad is None for grad in (grad_rgb, grad_accumulation, grad_depth, grad_weights)):
            return None, None, None, None, None, None
        # The kernel passes over what is empty.
        of_rgb = sigmas.new_empty(0, 3) if grad_rgb is None else grad_rgb.contiguous()
        others = (grad_accumulation, grad_depth, grad_weights)
        grads = [of_rgb, *(sigmas.new_empty(0) if grad is None else grad.contiguous() for grad in others)]
        grad_sigmas, grad_rgbs = sigmas.new_zeros(4 * len(sigmas)).split([len(sigmas), 3 * len(sigmas)])
        grad_rgbs = grad_rgbs.view_as(rgbs)
        launch(composite_backward, packed_info.shape[0], [*saved, *grads, grad_sigmas, grad_rgbs], sigmas.device)
        return grad_sigmas, grad_rgbs, None, None, None, None


def composite(
    sigmas: Float[Tensor, "n_samples"],
    rgbs: Float[Tensor, "n_samples 3"],
    t_starts: Float[Tensor, "n_samples"],
    t_ends: Float[Tensor, "n_samples"],
    packed_info: Int[Tensor, "n_rays 2"],
    *,
    early_stop_eps: float = 0.0,
) -> Composited:
    r"""Renders packed samples by the volume rendering quadrature.

    With :math:`\delta_i = t^\text{end}_i - t^\text{start}_i`, :math:`\alpha_i = 1 - e^{-\sigma_i \delta_i}`, the exclusive transmittance
    :math:`T_i = e^{-\sum_{j<i} \sigma_j \delta_j}` and :math:`w_i = T_i \alpha_i`: rgb :math:`= \sum w_i c_i`, accumulation
    :math:`A = \sum w_i`, depth :math:`= \sum w_i m_i / A` with the midpoints :math:`m_i`, median depth = the first :math:`m_i` by which
    :math:`\sum w \ge A/2`.

    Args:
        sigmas: densities >= 0, float32, in 1 / unit of ``t``.
        rgbs: colours, float32.
        t_starts: interval starts, float32.
        t_ends: interval ends, float32.
        packed_info: (start, count) of each ray's samples, int32.
        early_stop_eps: samples with :math:`T_i` below it have no weight and no gradient, >= 0.

    Returns:
        Per ray colour, accumulation, expected and median depth; per sample the weights. Rays with :math:`A \le 10^{-10}` have depth 0.
        Differentiable once, in ``sigmas`` and ``rgbs``, through every output but the median depth.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape, device or range.

    Example:
        One ray with two samples 1 long: the first lets a quarter of the light through, the second half of that.

        >>> sigmas, rgbs = torch.tensor([math.log(4.0), math.log(2.0)]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        >>> t_starts, packed_info = torch.tensor([1.0, 2.0]), torch.tensor([[0, 2]], dtype=torch.int32)
        >>> seen = composite(sigmas, rgbs, t_starts, t_starts + 1.0, packed_info)
        >>> seen.weights, seen.rgb
        (tensor([0.7500, 0.1250]), tensor([[0.7500, 0.1250, 0.0000]]))
        >>> seen.accumulation, seen.depth, seen.median_depth  # depth: (0.75 * 1.5 + 0.125 * 2.5) / 0.875
        (tensor([0.8750]), tensor([1.6429]), tensor([1.5000]))

    Source: Mildenhall et al., NeRF, 2020, equation 3.
    """
    sigmas = require_tensor("sigmas", sigmas, torch.float32, (None,))
    n_samples = sigmas.shape[0]
    rgbs = require_tensor("rgbs", rgbs, torch.float32, (n_samples, 3))
    t_starts = require_tensor("t_starts", t_starts, torch.float32, (n_samples,))
    t_ends = require_tensor("t_ends", t_ends, torch.float32, (n_samples,))
    packed_info = require_tensor("packed_info", packed_info, torch.int32, (None, 2))
    early_stop_eps = require_positive("early_stop_eps", early_stop_eps, allow_zero=True)
    require_same_device(sigmas=sigmas, rgbs=rgbs, t_starts=t_starts, t_ends=t_ends, packed_info=packed_info)
    return Composited(*_Composite.apply(sigmas, rgbs, t_starts, t_ends, packed_info, early_stop_eps))


def blend_background(
    rgb: Float[Tensor, "n_rays 3"],
    accumulation: Float[Tensor, "n_rays"],
    background: Float[Tensor, "3"] | Float[Tensor, "n_rays 3"],
) -> Float[Tensor, "n_rays 3"]:
    """``rgb + (1 - accumulation) * background``; differentiable in all three.

    Args:
        rgb: colours premultiplied by the accumulation.
        accumulation: opacities.
        background: one colour for all rays or one for each.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Example:
        A ray that is half absorbed, by something red, before a white background.

        >>> blend_background(torch.tensor([[0.5, 0.0, 0.0]]), torch.tensor([0.5]), torch.ones(3))
        tensor([[1.0000, 0.5000, 0.5000]])
    """
    rgb = require_tensor("rgb", rgb, torch.float32, (None, 3))
    accumulation = require_tensor("accumulation", accumulation, torch.float32, (len(rgb),))
    shape = (3,) if isinstance(background, Tensor) and background.ndim == 1 else (len(rgb), 3)
    background = require_tensor("background", background, torch.float32, shape)
    require_same_device(rgb=rgb, accumulation=accumulation, background=background)
    return torch.addcmul(rgb, (1.0 - accumulation)[..., None], background)
