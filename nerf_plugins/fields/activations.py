"""Activations, where torch's own are slow on a CPU."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def softplus(x: Float[Tensor, "*shape"], beta: float = 1.0) -> Float[Tensor, "*shape"]:
    r""":math:`\ln(1 + e^{\beta x}) / \beta`, in x's dtype; differentiable, twice too.

    On CUDA it is torch's. On the CPU torch takes one logarithm after the other; here powers of two and their logarithms, of which it takes
    many at once: :math:`\max(x, 0) + \log_2(1 + 2^{-\beta |x| / \ln 2}) \ln 2 / \beta`, which is exact to some :math:`10^{-7} / \beta`.
    """
    if x.is_cuda or x.dtype != torch.float32:
        return F.softplus(x, beta=beta)
    return _Softplus.apply(x, beta)  # type: ignore[return-value]


class _Softplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, beta: float) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        ctx.beta = beta
        rest = x.abs().mul_(-beta / math.log(2.0)).exp2_().add_(1.0).log2_().mul_(math.log(2.0) / beta)
        return rest.add_(x.clamp(min=0.0))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return grad * torch.sigmoid(ctx.beta * x), None
