"""Regularisers of planes and lines: few numbers that are not 0, little change from a vertex to the next, steady change in time."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor


def mean_size(groups: Iterable[Float[Tensor, "..."]]) -> Float[Tensor, ""]:
    """Mean absolute value of each group's numbers, summed over the groups.

    Example:
        >>> mean_size([torch.tensor([[[-1.0], [3.0]]]), torch.tensor([[[[0.5]]]])])
        tensor(2.5000)

    Source: Chen et al., TensoRF, 2022, equation 12.
    """
    return torch.stack([group.abs().mean() for group in groups]).sum()


def total_variation(groups: Iterable[Float[Tensor, "..."]]) -> Float[Tensor, ""]:
    """Mean squared difference of neighbours, of planes along the one axis and along the other, summed over axes and groups.

    Example:
        Neighbours differ by 1 along the first axis and by 2 along the second.

        >>> total_variation([torch.tensor([[0.0, 2.0], [1.0, 3.0]])[None, :, :, None]])
        tensor(5.)

    Source: Chen et al., TensoRF, 2022, equation 13; Fridovich-Keil et al., K-Planes, 2023, equation 4.
    """
    axes = [(group, axis) for group in groups for axis in range(1, group.ndim - 1)]
    return torch.stack([_mean_square(torch.diff(group, dim=axis)) for group, axis in axes]).sum()


def roughness_in_time(planes: Iterable[Float[Tensor, "n_planes _ n_times n_features"]]) -> Float[Tensor, ""]:
    """Mean squared second difference along the time, summed over the groups.

    Example:
        Values 0, 1, 4 in time: the step from 1 to 4 is 2 larger than that from 0 to 1.

        >>> roughness_in_time([torch.tensor([0.0, 1.0, 4.0])[None, None, :, None]])
        tensor(4.)

    Source: Fridovich-Keil et al., K-Planes, 2023, equation 5.
    """
    return torch.stack([_mean_square(torch.diff(group, n=2, dim=2)) for group in planes]).sum()


def distance_from_one(planes: Iterable[Float[Tensor, "..."]]) -> Float[Tensor, ""]:
    """Mean absolute difference from 1, summed over the groups: what moves is to be little.

    Example:
        >>> distance_from_one([torch.tensor([1.0, 1.0, 0.0, 3.0])])
        tensor(0.7500)

    Source: Fridovich-Keil et al., K-Planes, 2023, equation 6.
    """
    return torch.stack([(1.0 - group).abs().mean() for group in planes]).sum()


def _mean_square(x: Tensor) -> Tensor:
    return x.square().mean()
