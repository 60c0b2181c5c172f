"""Functions of many points, a few of them at a time: in bounded memory, and on a CPU in pieces that stay near the cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor


def call_size(device: torch.device, cpu: int = 1 << 14, cuda: int = 1 << 18) -> int:
    """How many points a call gets: large enough to fill a GPU there, and ``cpu`` on any other device."""
    return cuda if device.type == "cuda" else cpu


def in_calls(
    function: Callable[..., Shaped[Tensor, "part *shape"]], *inputs: Shaped[Tensor, "n ..."], size: int
) -> Shaped[Tensor, "n *shape"]:
    """What a function gives for all points, which must not depend on who is in a call; differentiable as the function is.

    Args:
        function: of tensors that have the same points along the first dimension, as its result has.
        inputs: those tensors, one or more, of one device or of several. No point is one call too, for the result's shape.
        size: points of a call, except of the last.

    Raises:
        ValueError: the inputs differ in length, or size is below 1.
    """
    if len({len(points) for points in inputs}) != 1:
        raise ValueError(f"give tensors of one length, got {[len(points) for points in inputs]}")
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if len(inputs[0]) <= size:
        return function(*inputs)
    return torch.cat([function(*parts) for parts in zip(*(points.split(size) for points in inputs))])
