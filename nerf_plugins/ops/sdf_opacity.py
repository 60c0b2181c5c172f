"""From signed distances to opacity, as NeuS defines it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
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
    return _OpticalDepths.apply(sdf, slopes, widths, inv_s, _require_progress(progress))


class _Densities(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        sdf: Tensor,
        gradients: Tensor,
        directions: Tensor,
        inv_s: Tensor,
        ray_indices: Tensor,
        t_starts: Tensor,
        t_ends: Tensor,
        progress: float,
    ) -> Tensor:
        import warp as wp

        from nerf_plugins.kernels.launch import launch
        from nerf_plugins.kernels.sdf_opacity import densities_forward

        sigmas = torch.empty_like(sdf)
        logistics = sdf.new_empty(len(sdf) if any(ctx.needs_input_grad) else 0, 2)
        sections = [sdf, gradients, directions, ray_indices, t_starts, t_ends, inv_s.view(1)]
        launch(densities_forward, len(sdf), [*sections, progress, sigmas, (logistics, wp.vec2)], sdf.device)
        ctx.save_for_backward(*sections, logistics)
        ctx.progress = progress
        return sigmas

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_sigmas: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        import warp as wp

        from nerf_plugins.kernels.launch import launch
        from nerf_plugins.kernels.sdf_opacity import densities_backward

        *sections, logistics = ctx.saved_tensors
        sdf, gradients, directions, ray_indices = sections[:4]
        wants_directions = ctx.needs_input_grad[2]
        of_sdf, of_inv_s, of_gradients = torch.empty_like(sdf), torch.empty_like(sdf), torch.empty_like(gradients)
        of_slopes = torch.empty_like(sdf) if wants_directions else sdf.new_empty(0)
        arguments = [*sections, ctx.progress, (logistics, wp.vec2), grad_sigmas.contiguous()]
        results = [of_sdf, of_gradients, of_slopes, of_inv_s]
        launch(densities_backward, len(sdf), [*arguments, *results], sdf.device)
        of_directions = None
        if wants_directions:
            of_directions = torch.zeros_like(directions).index_add_(0, ray_indices, of_slopes[:, None] * gradients)
        return of_sdf, of_gradients, of_directions, of_inv_s.sum(), None, None, None, None


def sdf_densities(
    sdf: Float[Tensor, "n_samples"],
    gradients: Float[Tensor, "n_samples 3"],
    directions: Float[Tensor, "n_rays 3"],
    ray_indices: Int[Tensor, "n_samples"],
    t_starts: Float[Tensor, "n_samples"],
    t_ends: Float[Tensor, "n_samples"],
    inv_s: Float[Tensor, ""],
    progress: float = 1.0,
) -> Float[Tensor, "n_samples"]:
    r"""Densities :math:`\tau / \delta` with which samples of a signed distance field have the optical depths :math:`\tau` of
    :func:`sdf_optical_depths`: of sections with the length :math:`\delta`, whose slopes are the products of the distance's gradients with
    the directions of their rays.

    Args:
        sdf: distance at the midpoint of each sample, float32.
        gradients: of the distance there, float32.
        directions: of the rays, float32.
        ray_indices: which ray each sample belongs to, int32; not checked against the rays.
        t_starts: where each sample begins, float32, in the distance's unit.
        t_ends: where it ends; a length below :math:`10^{-10}` counts as that.
        inv_s: sharpness of the surface, > 0, one number.
        progress: of the annealing of the slopes, in [0, 1].

    Returns:
        Densities >= 0; those of padding, which has no length, are 0. Differentiable once, in ``sdf``, ``gradients``, ``directions`` and
        ``inv_s``.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device, or a progress out of range.

    Example:
        The section of :func:`sdf_optical_depths`'s example, of length 2 straight through the surface, has the depth 1.

        >>> gradients, directions = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.0, 0.0, -1.0]])
        >>> places = torch.zeros(1, dtype=torch.int32), torch.tensor([3.0]), torch.tensor([5.0])
        >>> round(sdf_densities(torch.tensor([0.0]), gradients, directions, *places, torch.tensor(1.0)).item(), 4)
        0.5

    Source: Wang et al., NeuS, 2021, equations 10 and 13.
    """
    sdf = require_tensor("sdf", sdf, torch.float32, (None,))
    n = len(sdf)
    learnt = {
        "sdf": sdf,
        "gradients": require_tensor("gradients", gradients, torch.float32, (n, 3)),
        "directions": require_tensor("directions", directions, torch.float32, (None, 3)),
        "inv_s": require_tensor("inv_s", inv_s, torch.float32, ()),
    }
    places = {
        "ray_indices": require_tensor("ray_indices", ray_indices, torch.int32, (n,)),
        "t_starts": require_tensor("t_starts", t_starts, torch.float32, (n,)),
        "t_ends": require_tensor("t_ends", t_ends, torch.float32, (n,)),
    }
    require_same_device(**learnt, **places)
    return _Densities.apply(*learnt.values(), *places.values(), _require_progress(progress))


def _require_progress(progress: float) -> float:
    if not 0.0 <= progress <= 1.0:
        raise ValueError(f"progress must be in [0, 1], got {progress!r}")
    return float(progress)
