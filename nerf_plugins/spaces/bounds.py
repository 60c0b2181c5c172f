"""Where rays begin and end."""

from __future__ import annotations

import torch
from jaxtyping import Float
from nerfstudio.cameras.rays import RayBundle
from torch import Tensor


def flat_bounds(ray_bundle: RayBundle, near_plane: float, far_plane: float) -> tuple[Tensor, Tensor]:
    """The bundle's own near and far where it has them (a viewer's crop sets them), else the planes; each (n_rays,)."""
    n_rays = ray_bundle.origins.shape[0]
    nears = ray_bundle.nears.reshape(-1) if ray_bundle.nears is not None else None
    fars = ray_bundle.fars.reshape(-1) if ray_bundle.fars is not None else None
    nears = ray_bundle.origins.new_full((n_rays,), near_plane) if nears is None else nears.clamp(min=near_plane)
    fars = ray_bundle.origins.new_full((n_rays,), far_plane) if fars is None else fars.clamp(max=far_plane)
    return nears, fars


def box_span(
    origins: Float[Tensor, "*batch 3"], directions: Float[Tensor, "*batch 3"], aabb: Float[Tensor, "2 3"]
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    r"""Where rays enter and leave a box: :math:`\max_a \min(t_{a0}, t_{a1})` and :math:`\min_a \max(t_{a0}, t_{a1})` over the axes a,
    with :math:`t_{ai} = (b_{ai} - o_a) / d_a`. A ray that misses the box enters after it leaves; what lies behind its origin is negative.

    Args:
        origins: o.
        directions: d, of any length: the results are in units of it. A component near 0 counts as :math:`10^{-12}`.
        aabb: b, the (min, max) corner of the box.

    Example:
        A ray that comes from the left.

        >>> enter, leave = box_span(torch.tensor([-3.0, 0.0, 0.0]), torch.tensor([1.0, 0.0, 0.0]), torch.tensor([[-1.0] * 3, [1.0] * 3]))
        >>> enter.item(), leave.item()
        (2.0, 4.0)
    """
    inverse = 1.0 / torch.where(directions.abs() < 1e-12, torch.full_like(directions, 1e-12), directions)
    t0, t1 = (aabb[0] - origins) * inverse, (aabb[1] - origins) * inverse
    return torch.minimum(t0, t1).amax(-1), torch.maximum(t0, t1).amin(-1)
