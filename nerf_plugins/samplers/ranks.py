"""Work on a state that every process of a distributed training has: each does a share of it, and all get the results.

Collective calls: every rank makes them, in the same order. Nothing waits for the device.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor


def num_ranks() -> int:
    """Processes that train together; 1 where training is not distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def share_of_rank(values: Shaped[Tensor, "n"]) -> Shaped[Tensor, "share"]:
    """This rank's part of what all ranks have. The parts have one length, ceil(n / ranks); the last wraps around to the first values.

    Args:
        values: the same on all ranks.
    """
    n, n_ranks = len(values), num_ranks()
    if n_ranks == 1 or n == 0:
        return values
    share = -(-n // n_ranks)
    first = share * dist.get_rank()
    return values[torch.arange(first, first + share, device=values.device) % n]


def from_all_ranks(values: Shaped[Tensor, "n"]) -> Shaped[Tensor, "all"]:
    """The values of all ranks, one rank's after the other's: the same on each.

    Args:
        values: as many on each rank.
    """
    if num_ranks() == 1:
        return values
    parts = [torch.empty_like(values) for _ in range(num_ranks())]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)
