"""Positional encoding."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def encode(x: Float[Tensor, "*batch 3"], n_frequencies: int) -> Float[Tensor, "*batch width"]:
    r"""Positional encoding :math:`(x, \sin(2^k \pi x), \cos(2^k \pi x))`, k = 0 .. n_frequencies-1; width 3 + 6 n_frequencies.

    ``x`` should lie in [-1, 1]. Differentiable. Source: Mildenhall et al., NeRF, 2020, equation 4.
    """
    frequencies = torch.pi * 2.0 ** torch.arange(n_frequencies, dtype=x.dtype, device=x.device)
    phases = (x[..., None, :] * frequencies[:, None]).flatten(-2)
    return torch.cat([x, torch.sin(phases), torch.cos(phases)], dim=-1)
