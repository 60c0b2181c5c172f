r"""The piece of a pixel's cone between two ends of a ray, as a Gaussian.

Its variance along the ray is :math:`\sigma_t^2`, across the ray :math:`\sigma_r^2`, so the covariance is
:math:`\sigma_t^2 d d^\top + \sigma_r^2 (1 - d d^\top)` with the ray's unit direction d.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Spread(NamedTuple):
    """The Gaussian of pieces of rays, along and across them."""

    t_means: Float[Tensor, "n"]
    """Where on the ray the mean is."""
    t_variances: Float[Tensor, "n"]
    """Variance along the ray."""
    r_variances: Float[Tensor, "n"]
    """Variance in each direction across the ray."""

    @property
    def scales(self) -> Float[Tensor, "n"]:
        r"""Geometric mean of the three standard deviations: :math:`(\sigma_t^2 \sigma_r^4)^{1/6}`."""
        return (self.t_variances * self.r_variances**2).clamp(min=1e-30) ** (1 / 6)


def cone(t_starts: Float[Tensor, "n"], t_ends: Float[Tensor, "n"], radii: Float[Tensor, "n"]) -> Spread:
    r"""Of a cone with its apex at t = 0 and the radius :math:`\dot r t`.

    With the middle :math:`\mu` and half the width :math:`\delta`: mean :math:`\mu + 2\mu\delta^2 / (3\mu^2 + \delta^2)`,
    :math:`\sigma_t^2 = \delta^2/3 - \frac{4}{15}\, \delta^4 (12\mu^2 - \delta^2) / (3\mu^2 + \delta^2)^2` and
    :math:`\sigma_r^2 = \dot r^2 (\mu^2/4 + \frac{5}{12}\delta^2 - \frac{4}{15}\, \delta^4 / (3\mu^2 + \delta^2))`.

    Args:
        t_starts: where each piece begins, >= 0.
        t_ends: where it ends.
        radii: :math:`\dot r`, the cone's radius at t = 1.

    Example:
        From the apex to t = 2: the mean of t, weighted by the area t², is 3/2.

        >>> [round(values.item(), 4) for values in cone(torch.tensor([0.0]), torch.tensor([2.0]), torch.tensor([1.0]))]
        [1.5, 0.15, 0.6]

    Source: Barron et al., Mip-NeRF, 2021, equation 7, in the form that does not cancel.
    """
    middle, half = 0.5 * (t_starts + t_ends), 0.5 * (t_ends - t_starts)
    m2, h2 = middle**2, half**2
    whole = (3.0 * m2 + h2).clamp(min=1e-20)
    t_means = middle + 2.0 * middle * h2 / whole
    t_variances = h2 / 3.0 - (4.0 / 15.0) * h2**2 * (12.0 * m2 - h2) / whole**2
    r_variances = radii**2 * (m2 / 4.0 + (5.0 / 12.0) * h2 - (4.0 / 15.0) * h2**2 / whole)
    return Spread(t_means, t_variances, r_variances)


def cylinder(t_starts: Float[Tensor, "n"], t_ends: Float[Tensor, "n"], radii: Float[Tensor, "n"]) -> Spread:
    r"""Of a cylinder: mean in the middle, :math:`\sigma_t^2 = (t_1 - t_0)^2 / 12`, :math:`\sigma_r^2 = r^2 / 4`.

    Args:
        t_starts: where each piece begins.
        t_ends: where it ends.
        radii: r, the cylinder's radius.

    Example:
        >>> [values.item() for values in cylinder(torch.tensor([0.0]), torch.tensor([6.0]), torch.tensor([2.0]))]
        [3.0, 3.0, 1.0]

    Source: Barron et al., Mip-NeRF, 2021, supplementary A.
    """
    return Spread(0.5 * (t_starts + t_ends), (t_ends - t_starts) ** 2 / 12.0, radii**2 / 4.0)


def axes(spread: Spread, directions: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """Three vectors v (in rows) with covariance = sum of v v^T: one along the ray, two across it, each a standard deviation long."""
    # The axis in which the direction is smallest is never along it.
    smallest = torch.nn.functional.one_hot(directions.abs().argmin(-1), 3).to(directions)
    across = torch.nn.functional.normalize(torch.linalg.cross(directions, smallest), dim=-1)
    lengths = torch.stack([spread.t_variances, spread.r_variances, spread.r_variances], dim=-1).clamp(min=0.0).sqrt()
    return lengths[..., None] * torch.stack([directions, across, torch.linalg.cross(directions, across)], dim=1)
