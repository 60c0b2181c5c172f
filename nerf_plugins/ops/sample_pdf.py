"""Drawing new sample positions where the weights are."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor

# The reference implementation's: keeps rays without weight sampling evenly.
_PADDING = 1e-5


@torch.no_grad()
def sample_pdf(
    t_starts: Float[Tensor, "n_samples"],
    t_ends: Float[Tensor, "n_samples"],
    weights: Float[Tensor, "n_samples"],
    packed_info: Int[Tensor, "n_rays 2"],
    u: Float[Tensor, "n_rays n_new"],
) -> Float[Tensor, "n_rays n_new"]:
    r"""Inverse transform sampling of each ray's piecewise-constant density.

    Interval i of a ray has probability :math:`p_i \propto w_i + 10^{-5}`, spread evenly inside it; the result is
    :math:`F^{-1}(u)` with the cumulated distribution F, in u's order.

    Args:
        t_starts: interval starts, float32, ascending in each ray.
        t_ends: interval ends, float32.
        weights: weights >= 0 of the intervals, float32.
        packed_info: (start, count) of each ray's intervals, int32.
        u: where to invert, float32 in [0, 1).

    Returns:
        t of each u. 0 for rays without intervals. Not differentiable.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Example:
        Two intervals with probabilities 1/4 and 3/4: the first quarter of [0, 1) goes to [0, 1), the rest to [1, 2).

        >>> t_starts, packed_info = torch.tensor([0.0, 1.0]), torch.tensor([[0, 2]], dtype=torch.int32)
        >>> sample_pdf(t_starts, t_starts + 1.0, torch.tensor([1.0, 3.0]), packed_info, torch.tensor([[0.125, 0.25, 0.625]]))
        tensor([[0.5000, 1.0000, 1.5000]])

    Source: Mildenhall et al., NeRF, 2020, section 5.2.
    """
    t_starts = require_tensor("t_starts", t_starts, torch.float32, (None,))
    n_samples = t_starts.shape[0]
    t_ends = require_tensor("t_ends", t_ends, torch.float32, (n_samples,))
    weights = require_tensor("weights", weights, torch.float32, (n_samples,))
    packed_info = require_tensor("packed_info", packed_info, torch.int32, (None, 2))
    u = require_tensor("u", u, torch.float32, (packed_info.shape[0], None))
    device = require_same_device(t_starts=t_starts, t_ends=t_ends, weights=weights, packed_info=packed_info, u=u)

    from nerf_plugins.kernels import sample_pdf as kernels
    from nerf_plugins.kernels.launch import launch

    cdf = torch.empty_like(weights)  # nobody looks at what it has in padding
    launch(kernels.accumulate_pdf, packed_info.shape[0], [weights, packed_info, _PADDING, cdf], device)
    t = torch.empty_like(u)
    flat = [u.shape[1], u.view(-1), t.view(-1)]
    launch(kernels.invert_cdf, u.numel(), [t_starts, t_ends, packed_info, cdf, *flat], device)
    return t
