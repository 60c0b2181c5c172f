"""The loss that teaches a proposal where a finer histogram has weight."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor


class _Interlevel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, proposal_weights: Tensor, fine: tuple[Tensor, ...], proposal: tuple[Tensor, ...]) -> Tensor:  # type: ignore[override]
        from nerf_plugins.kernels.interlevel import interlevel_forward
        from nerf_plugins.kernels.launch import launch

        starts, ends, info = proposal
        histograms = [*fine, starts, ends, proposal_weights, info]
        losses = proposal_weights.new_zeros(len(info))
        launch(interlevel_forward, len(info), [*histograms, losses], losses.device)
        ctx.save_for_backward(*histograms)
        return losses

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_losses: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        from nerf_plugins.kernels.interlevel import interlevel_backward
        from nerf_plugins.kernels.launch import launch

        histograms = ctx.saved_tensors
        grad = torch.zeros_like(histograms[6])
        launch(interlevel_backward, len(histograms[7]), [*histograms, grad_losses.contiguous(), grad], grad.device)
        return grad, None, None


def interlevel_loss(
    t_starts: Float[Tensor, "n_samples"],
    t_ends: Float[Tensor, "n_samples"],
    weights: Float[Tensor, "n_samples"],
    packed_info: Int[Tensor, "n_rays 2"],
    proposal_starts: Float[Tensor, "n_proposed"],
    proposal_ends: Float[Tensor, "n_proposed"],
    proposal_weights: Float[Tensor, "n_proposed"],
    proposal_info: Int[Tensor, "n_rays 2"],
) -> Float[Tensor, "n_rays"]:
    r"""By how much a histogram of weights exceeds the bound that a proposal sets it.

    :math:`\sum_i \max(0, w_i - b_i)^2 / (w_i + 10^{-7})` over a ray's intervals, with the bound :math:`b_i`, the sum of the weights of all
    proposal intervals that overlap interval i. Intervals that only share an edge do not overlap. Takes O(n + m) for a ray.

    Args:
        t_starts: interval starts of the fine histogram, float32, ascending in each ray.
        t_ends: interval ends, float32, none behind the next start.
        weights: weights :math:`w_i` >= 0, float32.
        packed_info: (start, count) of each ray's intervals, int32.
        proposal_starts: interval starts of the proposal, as ``t_starts``, in the same unit.
        proposal_ends: its interval ends.
        proposal_weights: its weights >= 0, float32.
        proposal_info: (start, count) of each ray's proposal intervals, int32.

    Returns:
        The loss of each ray. Differentiable once, in ``proposal_weights`` only.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Example:
        A weight of 1/2 where the proposal has 0.3: 0.2^2 / 0.5.

        >>> one, info = torch.ones(1), torch.tensor([[0, 1]], dtype=torch.int32)
        >>> interlevel_loss(0 * one, one, 0.5 * one, info, 0 * one, 2 * one, 0.3 * one, info)
        tensor([0.0800])

    Source: Barron et al., Mip-NeRF 360, 2022, equation 13.
    """
    t_starts = require_tensor("t_starts", t_starts, torch.float32, (None,))
    t_ends = require_tensor("t_ends", t_ends, torch.float32, (len(t_starts),))
    weights = require_tensor("weights", weights, torch.float32, (len(t_starts),))
    packed_info = require_tensor("packed_info", packed_info, torch.int32, (None, 2))
    starts = require_tensor("proposal_starts", proposal_starts, torch.float32, (None,))
    ends = require_tensor("proposal_ends", proposal_ends, torch.float32, (len(starts),))
    proposed = require_tensor("proposal_weights", proposal_weights, torch.float32, (len(starts),))
    info = require_tensor("proposal_info", proposal_info, torch.int32, (len(packed_info), 2))
    fine = {"t_starts": t_starts, "t_ends": t_ends, "weights": weights, "packed_info": packed_info}
    coarse = {"proposal_starts": starts, "proposal_ends": ends, "proposal_weights": proposed, "proposal_info": info}
    require_same_device(**fine, **coarse)
    return _Interlevel.apply(proposed, tuple(fine.values()), (starts, ends, info))
