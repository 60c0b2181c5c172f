"""How far a deformation is from a rigid motion."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.ops._checks import require_tensor

_SMALLEST = 1e-6


class _LogStrain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, jacobians: Tensor) -> Tensor:  # type: ignore[override]
        import warp as wp

        from nerf_plugins.kernels.launch import launch
        from nerf_plugins.kernels.strain import log_strain_with_gradient

        strains, gradients = jacobians.new_empty(len(jacobians)), torch.empty_like(jacobians)
        arguments = [(jacobians, wp.mat33), _SMALLEST, strains, (gradients, wp.mat33)]
        launch(log_strain_with_gradient, len(jacobians), arguments, jacobians.device)
        ctx.save_for_backward(gradients)
        return strains

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        (gradients,) = ctx.saved_tensors
        return grad[:, None, None] * gradients


def log_strain(jacobians: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n"]:
    r""":math:`\sum_k \log^2 \sigma_k` over the singular values :math:`\sigma_k` of each matrix: 0 for rotations alone.

    Singular values count as at least 1e-6. The gradient is right where they are equal too, as those of a rotation are:
    :math:`U\, \mathrm{diag}(2 \log\sigma_k / \sigma_k)\, V^T`.

    Args:
        jacobians: of a map of space at some points, float32.

    Returns:
        One number for each. Differentiable once.

    Raises:
        TypeError: another type or dtype.
        ValueError: another shape.

    Example:
        All doubled in size: 3 log(2)^2.

        >>> log_strain(2.0 * torch.eye(3)[None])
        tensor([1.4414])

    Source: Park et al., Nerfies, 2021, equation 6.
    """
    return _LogStrain.apply(require_tensor("jacobians", jacobians, torch.float32, (None, 3, 3)))
