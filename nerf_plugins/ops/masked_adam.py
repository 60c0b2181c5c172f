"""A step of Adam that leaves alone what has no gradient."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.ops._checks import require_positive, require_same_device, require_tensor

# Numbers an item of a launch works on: on the CPU an item's overhead is shared by a run.
_RUN = {"cpu": 4096, "cuda": 1}


@torch.no_grad()
def masked_adam_(
    parameter: Float[Tensor, "*shape"],
    grad: Float[Tensor, "*shape"],
    exp_avg: Float[Tensor, "*shape"],
    exp_avg_sq: Float[Tensor, "*shape"],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-15,
) -> None:
    r"""Moves, in place, each number whose gradient g is not 0, as Adam does; the others keep value and moments.

    :math:`m \leftarrow \beta_1 m + (1 - \beta_1) g`, :math:`v \leftarrow \beta_2 v + (1 - \beta_2) g^2`,
    :math:`\theta \leftarrow \theta - \text{lr}\, \hat m / (\sqrt{\hat v} + \epsilon)` with
    :math:`\hat m = m / (1 - \beta_1^t)`, :math:`\hat v = v / (1 - \beta_2^t)`, and t the step of all.

    Args:
        parameter: :math:`\theta`, float32, contiguous, as are the others.
        grad: its gradient.
        exp_avg: m.
        exp_avg_sq: v.
        step: t, from 1 on.
        lr: the learning rate.
        betas: decay of the moments, in [0, 1).
        eps: > 0.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape, device or range, or a moment or the parameter is not contiguous.

    Example:
        The first step goes as far as the rate, whatever the gradient; the number without one stays.

        >>> parameter, moments = torch.tensor([1.0, 1.0, 1.0]), torch.zeros(2, 3)
        >>> masked_adam_(parameter, torch.tensor([3.0, 0.0, -5.0]), *moments, step=1, lr=0.5)
        >>> parameter
        tensor([0.5000, 1.0000, 1.5000])

    Source: Sun et al., Direct Voxel Grid Optimization, 2022, their implementation ("masked Adam").
    """
    from nerf_plugins.kernels.launch import launch
    from nerf_plugins.kernels.masked_adam import masked_adam

    shape = tuple(parameter.shape)
    tensors = {"parameter": parameter, "grad": grad, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
    for name, tensor in tensors.items():
        contiguous = require_tensor(name, tensor, torch.float32, shape)
        if name == "grad":
            grad = contiguous
        elif not tensor.is_contiguous():
            raise ValueError(f"{name} must be contiguous, since it is written in place")
    device = require_same_device(**tensors)
    require_positive("lr", lr, allow_zero=True)
    require_positive("eps", eps)
    if step < 1 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"step must be >= 1 and betas in [0, 1), got {step} and {betas}")
    n, run = parameter.numel(), _RUN[device.type]
    rate, root = lr / (1 - betas[0] ** step), 1 / math.sqrt(1 - betas[1] ** step)
    numbers = [tensor.view(-1) for tensor in (grad, parameter, exp_avg, exp_avg_sq)]
    n_items = -(-n // run)
    pieces = min(n_items, 4 * torch.get_num_threads()) if device.type == "cpu" else None
    launch(masked_adam, n_items, [n, run, rate, *betas, root, eps, *numbers], device, pieces)
