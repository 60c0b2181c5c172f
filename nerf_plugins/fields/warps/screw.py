"""Nerfies' warp: a rigid motion of each point, a rotation and a translation in one, as a screw."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.fields.base import NO_DATASET, Dataset
from nerf_plugins.fields.warps.network import NetworkWarp, NetworkWarpConfig
from nerf_plugins.rays import Points


@dataclass
class ScrewConfig(NetworkWarpConfig):
    """A rigid motion of each point."""

    _target: type = field(default_factory=lambda: Screw, kw_only=True)
    """target class to instantiate"""


class Screw(NetworkWarp):
    """Each point moved by the screw :func:`move_by_screw` that a network gives for it; the canonical scene is no time's in particular.

    Source: Park et al., Nerfies, 2021, section 3.2.
    """

    def __init__(self, config: ScrewConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__(config, dataset, n_outputs=6)

    def move(
        self, x: Float[Tensor, "*batch n 3"], outputs: Float[Tensor, "*batch n 6"], points: Points
    ) -> Float[Tensor, "*batch n 3"]:
        """See :class:`Warp`."""
        rotation, translation = outputs.split(3, dim=-1)
        return move_by_screw(x, rotation, translation)


def move_by_screw(
    x: Float[Tensor, "*batch 3"], r: Float[Tensor, "*batch 3"], v: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    r"""Points moved by the exponential of screws: :math:`R x + G v`.

    With :math:`\theta = |r|` and :math:`[r]` the matrix of the cross product,

    .. math::
        R = I + A [r] + B [r]^2,\quad G = I + B [r] + C [r]^2,\quad
        A = \frac{\sin\theta}{\theta},\ B = \frac{1 - \cos\theta}{\theta^2},\ C = \frac{\theta - \sin\theta}{\theta^3}.

    Differentiable any number of times, also at r = 0. Source: Lynch and Park, Modern Robotics, 2017, proposition 3.25; Nerfies, equations 3
    to 6.

    Args:
        x: the points.
        r: rotation, axis times angle in radians.
        v: translation along the screw's path, in the points' units.
    """
    a, b, c = _coefficients((r * r).sum(-1, keepdim=True))
    cross_x, cross_v = torch.linalg.cross(r, x), torch.linalg.cross(r, v)
    rotated = x + a * cross_x + b * torch.linalg.cross(r, cross_x)
    return rotated + v + b * cross_v + c * torch.linalg.cross(r, cross_v)


def _coefficients(s: Float[Tensor, "*batch 1"]) -> tuple[Tensor, ...]:
    """A, B, C of the squared angle. Below 1 by their series, whose rest is under 1e-9: the formulae divide 0 by 0 there."""
    is_small = s < 1.0
    small, large = torch.where(is_small, s, 0.0), torch.where(is_small, 1.0, s)
    theta = large.sqrt()
    sine = torch.sin(theta) / theta
    exact = torch.cat([sine, (1.0 - torch.cos(theta)) / large, (1.0 - sine) / large], dim=-1)
    return torch.where(is_small, _series(small), exact).split(1, dim=-1)


def _series(s: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch 3"]:
    r""":math:`\sum_k (-s)^k / (2k + m)!` to k = 6, of m = 1, 2, 3, by Horner's rule."""
    first = torch.arange(1, 4, dtype=s.dtype, device=s.device)
    n = first + 2.0 * torch.arange(6, 0, -1, dtype=s.dtype, device=s.device)[:, None]
    total = torch.ones_like(first)
    for factors in (1.0 / (n * (n - 1.0))).unbind():
        total = 1.0 - s * factors * total
    return total / first.cumprod(0)
