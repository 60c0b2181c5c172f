r"""The piece of a pixel's cone between two ends of a ray, as a Gaussian.

Its variance along the ray is :math:`\sigma_t^2`, across the ray :math:`\sigma_r^2`, so the covariance is
:math:`\sigma_t^2 d d^\top + \sigma_r^2 (1 - d d^\top)` with the ray's unit direction d.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops import ConeMoments


def cylinder_moments(
    t_starts: Float[Tensor, "n"],
    t_ends: Float[Tensor, "n"],
    radii: Float[Tensor, "n_rays"],
    ray_indices: Int[Tensor, "n"],
) -> ConeMoments:
    r"""Of pieces of cylinders: mean in the middle, :math:`\sigma_t^2 = (t_1 - t_0)^2 / 12`, :math:`\sigma_r^2 = r^2 / 4`.

    Args:
        t_starts: where each piece begins.
        t_ends: where it ends.
        radii: r of each ray, the cylinder's radius.
        ray_indices: which ray each piece belongs to.

    Example:
        >>> one = torch.tensor([1.0])
        >>> [values.item() for values in cylinder_moments(0 * one, 6 * one, 2 * one, torch.tensor([0]))][:3]
        [3.0, 3.0, 1.0]

    Source: Barron et al., Mip-NeRF, 2021, supplementary A.
    """
    t_variances = (t_ends - t_starts) ** 2 / 12.0
    r_variances = (radii**2 / 4.0).index_select(0, ray_indices)
    scales = (t_variances * r_variances**2).clamp(min=1e-30) ** (1 / 6)
    return ConeMoments(0.5 * (t_starts + t_ends), t_variances, r_variances, scales)


def axes(spread: ConeMoments, directions: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """Three vectors v (in rows) with covariance = sum of v v^T: one along the ray, two across it, each a standard deviation long."""
    # The axis in which the direction is smallest is never along it.
    smallest = torch.nn.functional.one_hot(directions.abs().argmin(-1), 3).to(directions)
    across = torch.nn.functional.normalize(torch.linalg.cross(directions, smallest), dim=-1)
    lengths = torch.stack([spread.t_variances, spread.r_variances, spread.r_variances], dim=-1).clamp(min=0.0).sqrt()
    return lengths[..., None] * torch.stack([directions, across, torch.linalg.cross(directions, across)], dim=1)
