"""The parts of rays that are in a box."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor


@torch.no_grad()
def clip_rays(
    origins: Float[Tensor, "n_rays 3"],
    directions: Float[Tensor, "n_rays 3"],
    nears: Float[Tensor, "n_rays"],
    fars: Float[Tensor, "n_rays"],
    aabb: Float[Tensor, "2 3"],
) -> tuple[Float[Tensor, "n_rays"], Float[Tensor, "n_rays"]]:
    r"""Near and far of the part of each ray that is in a box: :math:`n' = \max(n, \max_a \min(t_{a0}, t_{a1}))` and
    :math:`f' = \max(n', \min(f, \min_a \max(t_{a0}, t_{a1})))` over the axes a, with :math:`t_{ai} = (b_{ai} - o_a) / d_a`.

    Args:
        origins: o, float32.
        directions: d, of any length: the results are in units of it, float32. A component near 0 counts as :math:`10^{-12}`.
        nears: n, float32.
        fars: f, float32.
        aabb: b, the (min, max) corner of the box, float32.

    Returns:
        n' and f'; equal where no part of the ray is in the box. Nothing is differentiable.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Example:
        Rays that come from the left: through the box, and above it.

        >>> origins, directions = torch.tensor([[-3.0, 0.0, 0.0], [-3.0, 2.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]] * 2)
        >>> box = torch.tensor([[-1.0] * 3, [1.0] * 3])
        >>> nears, fars = clip_rays(origins, directions, torch.zeros(2), torch.full((2,), 3.5), box)
        >>> nears[0].item(), fars[0].item(), (fars - nears)[1].item()
        (2.0, 3.5, 0.0)
    """
    origins = require_tensor("origins", origins, torch.float32, (None, 3))
    n_rays = len(origins)
    rays = {
        "origins": origins,
        "directions": require_tensor("directions", directions, torch.float32, (n_rays, 3)),
        "nears": require_tensor("nears", nears, torch.float32, (n_rays,)),
        "fars": require_tensor("fars", fars, torch.float32, (n_rays,)),
        "aabb": require_tensor("aabb", aabb, torch.float32, (2, 3)),
    }
    device = require_same_device(**rays)

    from nerf_plugins.kernels.box import clip_rays as kernel
    from nerf_plugins.kernels.launch import launch

    clipped_nears, clipped_fars = torch.empty(2, n_rays, device=device).unbind(0)
    launch(kernel, n_rays, [*rays.values(), clipped_nears, clipped_fars], device)
    return clipped_nears, clipped_fars
