"""The loss of rays whose depth is known."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.ops import PackedSamples

SPREAD = 0.03
"""Standard deviation of a depth, as a share of it."""
_TINY = 1e-5


def known_depth_loss(
    weights: Float[Tensor, "n_samples"], samples: PackedSamples, depths: Float[Tensor, "n_rays"]
) -> Float[Tensor, ""]:
    r"""How little of each ray ends near where it is known to end.

    :math:`-\log(10^{-5} + \sum_i w_i \, e^{-(m_i - D)^2 / 2 \sigma^2})` with the samples' middles :math:`m_i`, the depth :math:`D` and
    :math:`\sigma = 0.03 D`, as the mean over the rays with a depth. It asks for no spread, as DS-NeRF's does, whose weights it wants
    in the shape of the Gaussian: a surface may be as sharp as the photos say.

    Args:
        weights: rendering weights of the samples.
        samples: of the rays.
        depths: ``t`` of what each ray sees; 0 where it is not known.

    Returns:
        Differentiable in the weights; 0 where no depth is known.

    After Deng et al., Depth-supervised NeRF, 2022.
    """
    ray_indices, is_known = samples.ray_indices.long(), depths > 0
    of_samples = depths[ray_indices]
    middles = 0.5 * (samples.t_starts + samples.t_ends)
    near = torch.exp(-0.5 * ((middles - of_samples) / (SPREAD * of_samples).clamp(min=1e-9)) ** 2)
    mass = torch.zeros_like(depths).index_add(0, ray_indices, weights * near)
    return -torch.where(is_known, torch.log(mass + _TINY), 0.0).sum() / is_known.sum().clamp(min=1)
