"""The loss that keeps a signed distance a distance."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor


class _EikonalError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradients: Tensor, t_starts: Tensor, t_ends: Tensor) -> Tensor:  # type: ignore[override]
        from nerf_plugins.kernels.eikonal import eikonal_forward
        from nerf_plugins.kernels.launch import launch

        n = len(gradients)
        terms = gradients.new_empty(2, n)
        launch(eikonal_forward, n, [n, gradients, t_starts, t_ends, terms.view(-1)], gradients.device)
        sums = terms.sum(-1)
        ctx.save_for_backward(gradients, t_starts, t_ends, sums)
        return sums[0] / sums[1].clamp(min=1.0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        from nerf_plugins.kernels.eikonal import eikonal_backward
        from nerf_plugins.kernels.launch import launch

        gradients, *rest = ctx.saved_tensors
        result = torch.empty_like(gradients)
        arguments = [gradients, *rest, grad.contiguous().view(1), result]
        launch(eikonal_backward, len(gradients), arguments, gradients.device)
        return result, None, None


def eikonal_error(
    gradients: Float[Tensor, "n_samples 3"], t_starts: Float[Tensor, "n_samples"], t_ends: Float[Tensor, "n_samples"]
) -> Float[Tensor, ""]:
    r"""The mean of :math:`(|g| - 1)^2` over the samples, padding not among them; 0 without samples.

    Args:
        gradients: g, of the distance at each sample, float32.
        t_starts: where each sample begins, float32.
        t_ends: where it ends; in padding, no later than it begins.

    Returns:
        One number. Differentiable once, in ``gradients``; where g is 0 its gradient is 0.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Example:
        Lengths of 5 and 1, and padding.

        >>> gradients = torch.tensor([[3.0, 0.0, 4.0], [0.0, 1.0, 0.0], [9.0, 9.0, 9.0]])
        >>> eikonal_error(gradients, torch.zeros(3), torch.tensor([1.0, 1.0, 0.0]))
        tensor(8.)

    Source: Gropp et al., Implicit Geometric Regularization for Learning Shapes, 2020, equation 2.
    """
    gradients = require_tensor("gradients", gradients, torch.float32, (None, 3))
    t_starts = require_tensor("t_starts", t_starts, torch.float32, (len(gradients),))
    t_ends = require_tensor("t_ends", t_ends, torch.float32, (len(gradients),))
    require_same_device(gradients=gradients, t_starts=t_starts, t_ends=t_ends)
    return _EikonalError.apply(gradients, t_starts, t_ends)  # type: ignore[return-value]
