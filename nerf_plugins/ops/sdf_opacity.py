"""From signed distances to opacity, as NeuS defines it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor


class _OpticalDepths(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sdf: Tensor, slopes: Tensor, widths: Tensor, inv_s: Tensor, progress: float) -> Tensor:  # type: ignore[override]
        import warp as wp

        from nerf_plugins.kernels.launch import launch
        from nerf_plugins.kernels.sdf_opacity import optical_depths_forward

        depths = torch.empty_like(sdf)
        logistics = sdf.new_empty(len(sdf) if any(ctx.needs_input_grad) else 0, 2)
        sections = [sdf, slopes, widths, inv_s.view(1), progress]
        launch(optical_depths_forward, len(sdf), [*sections, depths, (logistics, wp.vec2)], sdf.device)
        ctx.save_for_backward(sdf, slopes, widths, inv_s, logistics)
        ctx.progress = progress
        return depths

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_depths: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        import warp as wp

        from nerf_plugins.kernels.launch import launch
        from nerf_plugins.kernels.sdf_opacity import optical_depths_backward

        sdf, slopes, widths, inv_s, logistics = ctx.saved_tensors
        of_sdf, of_slopes, of_inv_s = (torch.empty_like(sdf) for _ in range(3))
        of_widths = torch.empty_like(sdf) if ctx.needs_input_grad[2] else sdf.new_empty(0)
        sections = [sdf, slopes, widths, inv_s.view(1), ctx.progress, (logistics, wp.vec2), grad_depths.contiguous()]
        launch(optical_depths_backward, len(sdf), [*sections, of_sdf, of_slopes, of_widths, of_inv_s], sdf.device)
        return of_sdf, of_slopes, of_widths if len(of_widths) else None, of_inv_s.sum(), None


def sdf_optical_depths(
    sdf: Float[Tensor, "n_samples"],
    slopes: Float[Tensor, "n_samples"],
    widths: Float[Tensor, "n_samples"],
    inv_s: Float[Tensor, ""],
    progress: float = 1.0,
) -> Float[Tensor, "n_samples"]:
    r"""Optical depth :math:`\tau` of sections of a ray whose signed distance falls linearly, so that :math:`\alpha = 1 - e^{-\tau}`.

    With the logistic function :math:`\Phi_s(x) = 1 / (1 + e^{-s x})` and the distances at the two ends of a section,
    :math:`f_\pm = f \pm \tfrac{1}{2} m \delta`, NeuS's opacity is
    :math:`\alpha = \max((\Phi_s(f_-) - \Phi_s(f_+)) / \Phi_s(f_-), 0)`; hence :math:`\tau = \ln \Phi_s(f_-) - \ln \Phi_s(f_+)`, which needs
    no guard against division by zero.

    The slope that counts is :math:`m = \min(\text{slope}, 0)` at the end of training. Before, it is negative everywhere, so that what
    faces away learns too: :math:`m = -(\max(\tfrac{1 - \text{slope}}{2}, 0) (1 - p) + \max(-\text{slope}, 0) p)`.

    Args:
        sdf: distance f at the midpoint of each section, float32.
        slopes: derivative of the distance along the ray there.
        widths: length :math:`\delta` of each section >= 0, in the distance's unit.
        inv_s: s > 0, one number.
        progress: p in [0, 1].

    Returns:
        :math:`\tau \ge 0`; finite where :math:`s f_\pm` is. Differentiable once, in all four.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device, or a progress out of range.

    Example:
        A section of length 2 straight through the surface: the distance falls from 1 to -1, and :math:`\ln \Phi(x) - \ln \Phi(-x) = x`.

        >>> depth = sdf_optical_depths(torch.tensor([0.0]), torch.tensor([-1.0]), torch.tensor([2.0]), torch.tensor(1.0))
        >>> round(depth.item(), 4)
        1.0

    Source: Wang et al., NeuS, 2021, equations 10 and 13, with the linear ends and the annealing (``cos_anneal_ratio``) of their code.
    """
    sdf = require_tensor("sdf", sdf, torch.float32, (None,))
    slopes = require_tensor("slopes", slopes, torch.float32, (len(sdf),))
    widths = require_tensor("widths", widths, torch.float32, (len(sdf),))
    inv_s = require_tensor("inv_s", inv_s, torch.float32, ())
    require_same_device(sdf=sdf, slopes=slopes, widths=widths, inv_s=inv_s)
    if not 0.0 <= progress <= 1.0:
        raise ValueError(f"progress must be in [0, 1], got {progress!r}")
    return _OpticalDepths.apply(sdf, slopes, widths, inv_s, float(progress))
