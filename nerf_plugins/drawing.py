"""Some of many things, drawn at random as often as they weigh."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def draw_by_weight(
    weights: Float[Tensor, "n"], n_chosen: int
) -> tuple[Int[Tensor, "n_chosen"], Float[Tensor, "n_chosen"]]:
    """Draws things as often as their weights say, at even distances in the weights' sum, without waiting for the device.

    Args:
        weights: >= 0.
        n_chosen: how many.

    Returns:
        Their indices, ascending, one of which may come several times, and the weight that each stands for: a sum over all things of weights
        times something is, in the mean, the sum over the chosen ones of these times it.
    """
    sums = weights.cumsum(0)
    total = sums[-1:] if len(sums) else weights.new_zeros(1)
    places = (torch.arange(n_chosen, device=weights.device) + torch.rand(1, device=weights.device)) / max(n_chosen, 1)
    chosen = torch.searchsorted(sums, places * total, right=True).clamp(max=max(len(weights) - 1, 0))
    return chosen, (total / max(n_chosen, 1)).expand(n_chosen)
