"""nerfacc's grid traversal in place of ours, for comparison: needs CUDA, and its extension compiled."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.ops import PackedSamples
from nerf_plugins.rays import Rays


def require_nerfacc() -> None:
    """Says what is missing before training starts.

    Raises:
        InputError: there is no CUDA device or no nerfacc.
    """
    if not torch.cuda.is_available():
        raise InputError("occupancy sampler: marcher 'nerfacc' needs a CUDA device and there is none: use 'warp'")
    try:
        import nerfacc  # noqa: F401
    except ImportError as e:
        raise InputError(
            f"occupancy sampler: marcher 'nerfacc' cannot be used ({e}): install nerfacc, or use 'warp'"
        ) from e


def march_with_nerfacc(
    rays: Rays,
    occupancy: Bool[Tensor, "levels r r r"],
    aabb: Float[Tensor, "2 3"],
    step_size: float,
    cone_angle: float,
    jitter: Float[Tensor, "n_rays"],
) -> PackedSamples:
    """The samples of ``nerfacc.traverse_grids``: the same cells as :func:`nerf_plugins.ops.march_grid`, nerfacc's own lattice.

    Reads counts back from the device, as nerfacc does.
    """
    import nerfacc

    centre, half = 0.5 * (aabb[0] + aabb[1]), 0.5 * (aabb[1] - aabb[0])
    scales = 2.0 ** torch.arange(len(occupancy), device=aabb.device)[:, None]
    aabbs = torch.cat([centre - half * scales, centre + half * scales], dim=-1)
    intervals, samples = nerfacc.traverse_grids(
        rays.origins,
        rays.directions,
        occupancy,
        aabbs,
        near_planes=rays.nears + jitter * step_size,
        far_planes=rays.fars,
        step_size=step_size,
        cone_angle=cone_angle,
    )
    assert samples.ray_indices is not None
    assert samples.packed_info is not None
    return PackedSamples(
        ray_indices=samples.ray_indices.int(),
        t_starts=intervals.vals[intervals.is_left],
        t_ends=intervals.vals[intervals.is_right],
        packed_info=samples.packed_info.int(),
        n_dropped_rays=torch.zeros((), dtype=torch.int32, device=aabb.device),
        n_wanted=samples.packed_info[:, 1].sum(),
    )
