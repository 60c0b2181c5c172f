"""Positional encoding."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def encode(
    x: Float[Tensor, "*batch 3"], n_frequencies: int, base_frequency: float = torch.pi
) -> Float[Tensor, "*batch width"]:
    r"""Positional encoding :math:`(x, \sin(2^k \omega x), \cos(2^k \omega x))`, k = 0 .. n_frequencies-1; width 3 + 6 n_frequencies.

    ``x`` should lie in [-1, 1]; :math:`\omega` is ``base_frequency``. Differentiable. Source: Mildenhall et al., NeRF, 2020, equation 4.
    """
    phases = _phases(x, n_frequencies, base_frequency).flatten(-2)
    return torch.cat([x, torch.sin(phases), torch.cos(phases)], dim=-1)


def encode_backward(
    x: Float[Tensor, "n 3"],
    grad: Float[Tensor, "n width"],
    n_frequencies: int,
    base_frequency: float = torch.pi,
) -> Float[Tensor, "n 3"]:
    """The gradient with respect to ``x`` of a scalar whose gradient with respect to ``encode(x)`` is ``grad``; itself differentiable."""
    frequencies = _frequencies(x, n_frequencies, base_frequency)[:, None]
    phases = _phases(x, n_frequencies, base_frequency)
    shape = (len(x), n_frequencies, 3)
    width = 3 * n_frequencies
    grad_sin, grad_cos = grad[:, 3 : 3 + width].reshape(shape), grad[:, 3 + width : 3 + 2 * width].reshape(shape)
    return grad[:, :3] + (frequencies * (torch.cos(phases) * grad_sin - torch.sin(phases) * grad_cos)).sum(-2)


def _frequencies(x: Tensor, n_frequencies: int, base_frequency: float) -> Tensor:
    return base_frequency * 2.0 ** torch.arange(n_frequencies, dtype=x.dtype, device=x.device)


def _phases(x: Tensor, n_frequencies: int, base_frequency: float) -> Tensor:
    return x[..., None, :] * _frequencies(x, n_frequencies, base_frequency)[:, None]
