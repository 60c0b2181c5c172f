"""The loss of rays whose depth is known."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.ops import PackedSamples

SPREAD = 0.03
"""Standard deviation of a depth, as a share of it: half of a sample's length in the scenes that this was tried on."""
_TINY = 1e-5


def known_depth_loss(
    weights: Float[Tensor, "n_samples"], samples: PackedSamples, depths: Float[Tensor, "n_rays"]
) -> Float[Tensor, ""]:
    r"""How little of each ray ends where it is known to end.

    :math:`-\sum_i \log(w_i + 10^{-5}) \, e^{-(m_i - D)^2 / 2 \sigma^2} \, \delta_i / \sigma` with the middles :math:`m_i` and lengths
    :math:`\delta_i` of the samples, the depth :math:`D` and :math:`\sigma = 0.03 D`, as the mean over the rays with a depth.

    Args:
        weights: rendering weights of the samples.
        samples: of the rays.
        depths: ``t`` of what each ray sees; 0 where it is not known.

    Returns:
        Differentiable in the weights; 0 where no depth is known.

    Source: Deng et al., Depth-supervised NeRF, 2022, equation 6 (with a width that grows with the depth).
    """
    of_samples = depths[samples.ray_indices.long()]
    spread = (SPREAD * of_samples).clamp(min=1e-9)
    middles, lengths = 0.5 * (samples.t_starts + samples.t_ends), samples.t_ends - samples.t_starts
    near = torch.exp(-0.5 * ((middles - of_samples) / spread) ** 2) * lengths / spread
    loss = -(torch.log(weights + _TINY) * near).sum()  # of no known depth nothing is near
    return loss / (depths > 0).sum().clamp(min=1)
