"""The loss that gathers the weights of a ray in one place."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor


class _Distortion(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, s_starts: Tensor, s_ends: Tensor, packed_info: Tensor) -> Tensor:  # type: ignore[override]
        import warp as wp

        from nerf_plugins.kernels.distortion import distortion_forward
        from nerf_plugins.kernels.launch import launch

        losses, moments = weights.new_zeros(len(packed_info)), weights.new_zeros(len(packed_info), 2)
        samples = [weights, s_starts, s_ends, packed_info]
        launch(distortion_forward, len(packed_info), [*samples, losses, (moments, wp.vec2)], weights.device)
        ctx.save_for_backward(*samples, moments)
        return losses

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_losses: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        import warp as wp

        from nerf_plugins.kernels.distortion import distortion_backward
        from nerf_plugins.kernels.launch import launch

        *samples, moments = ctx.saved_tensors
        grad = torch.zeros_like(samples[0])
        arguments = [*samples, (moments, wp.vec2), grad_losses.contiguous(), grad]
        launch(distortion_backward, len(moments), arguments, grad.device)
        return grad, None, None, None


def distortion_loss(
    weights: Float[Tensor, "n_samples"],
    s_starts: Float[Tensor, "n_samples"],
    s_ends: Float[Tensor, "n_samples"],
    packed_info: Int[Tensor, "n_rays 2"],
) -> Float[Tensor, "n_rays"]:
    r"""How far apart the weights of each ray are.

    :math:`\sum_{i,j} w_i w_j |m_i - m_j| + \tfrac13 \sum_i w_i^2 \delta_i` with the middles :math:`m_i` and the widths
    :math:`\delta_i` of the intervals; by prefix sums, in O(n) for a ray.

    Args:
        weights: rendering weights >= 0, float32.
        s_starts: interval starts, float32, ascending in each ray; in [0, 1], with equal steps where samples are to be equally close.
        s_ends: interval ends, float32.
        packed_info: (start, count) of each ray's intervals, int32.

    Returns:
        The loss of each ray. Differentiable once, in ``weights`` only.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Example:
        Weights 1/2 and 1/4 with middles 0.5 and 2: 2 * 1/8 * 1.5 between them, and (1/4 * 1 + 1/16 * 2) / 3 within.

        >>> starts, ends = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 3.0])
        >>> distortion_loss(torch.tensor([0.5, 0.25]), starts, ends, torch.tensor([[0, 2]], dtype=torch.int32))
        tensor([0.5000])

    Source: Barron et al., Mip-NeRF 360, 2022, equation 15; Sun et al., DVGOv2, 2022 (prefix sums).
    """
    weights = require_tensor("weights", weights, torch.float32, (None,))
    s_starts = require_tensor("s_starts", s_starts, torch.float32, (len(weights),))
    s_ends = require_tensor("s_ends", s_ends, torch.float32, (len(weights),))
    packed_info = require_tensor("packed_info", packed_info, torch.int32, (None, 2))
    require_same_device(weights=weights, s_starts=s_starts, s_ends=s_ends, packed_info=packed_info)
    return _Distortion.apply(weights, s_starts, s_ends, packed_info)
