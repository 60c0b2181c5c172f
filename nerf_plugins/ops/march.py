"""Marching rays through a cascade of occupancy grids into packed samples."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from nerf_plugins.ops._checks import require_count, require_positive, require_same_device, require_tensor
from nerf_plugins.ops.packed import INT32_MAX, PackedSamples, allot, zero_samples


@torch.no_grad()
def march_grid(
    origins: Float[Tensor, "n_rays 3"],
    directions: Float[Tensor, "n_rays 3"],
    nears: Float[Tensor, "n_rays"],
    fars: Float[Tensor, "n_rays"],
    occupancy: Bool[Tensor, "levels rx ry rz"],
    aabb: Float[Tensor, "2 3"],
    *,
    empty_blocks: UInt8[Tensor, "levels rx ry rz"] | None = None,
    step_size: float,
    cone_angle: float = 0.0,
    max_step_size: float = math.inf,
    jitter: Float[Tensor, "n_rays"] | None = None,
    capacity: int | None = None,
    max_samples_per_ray: int | None = None,
) -> PackedSamples:
    r"""Samples rays where the occupancy grid is occupied.

    With :math:`[t_\text{enter}, t_\text{exit})` the overlap of the outermost box with [near, far] and
    :math:`\Delta(t) = \operatorname{clamp}(\text{cone\_angle} \cdot t, \text{step\_size}, \text{max\_step\_size})`, the interval edges are
    :math:`t_0 = t_\text{enter} + u \Delta(t_\text{enter})`, :math:`t_{k+1} = t_k + \Delta(t_k)`. An interval is a sample exactly if its
    midpoint lies before :math:`t_\text{exit}` in an occupied cell of the finest level whose box contains it.

    Args:
        origins: ray origins, float32.
        directions: ray directions, float32, of any length: ``t`` is in units of it.
        nears: start of each ray, float32; negative values count as 0.
        fars: end of each ray, float32; may be inf.
        occupancy: which cells are occupied. Level l's box has the centre of ``aabb`` and :math:`2^l` times its size.
        aabb: (min, max) corner of level 0's box, float32.
        empty_blocks: :func:`empty_blocks` of ``occupancy``, with which empty space is crossed in longer jumps, to the same samples. Values
            that are not of this occupancy skip samples.
        step_size: the smallest step, > 0, in units of ``t``.
        cone_angle: growth of the step with distance, >= 0; 0 for steps of one size.
        max_step_size: the largest step, >= ``step_size``.
        jitter: :math:`u \in [0, 1)` of each ray; None for 0.
        capacity: length of the sample buffers. With it nothing is read back from a CUDA device; rays that do not fit keep no sample
            and are counted. None for buffers as long as the samples there are (one host sync on CUDA).
        max_samples_per_ray: keep the first that many samples of a ray.

    Returns:
        The packed samples. A ray that misses the box, has ``near >= far``, is not finite, has a zero direction or would take more
        than :math:`2^{22}` steps has none.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape, device or range. Values of tensors on CUDA are not looked at.

    Example:
        A row of four cells along x, of which the second is occupied, and a ray that enters the row at t = 1. It is within that cell
        from t = 2 to 3.

        >>> occupancy = torch.tensor([False, True, False, False]).view(1, 4, 1, 1)
        >>> aabb = torch.tensor([[0.0, 0.0, 0.0], [4.0, 1.0, 1.0]])
        >>> origins, directions = torch.tensor([[-1.0, 0.5, 0.5]]), torch.tensor([[1.0, 0.0, 0.0]])
        >>> samples = march_grid(origins, directions, torch.zeros(1), torch.full((1,), 9.0), occupancy, aabb, step_size=0.5)
        >>> samples.t_starts.tolist(), samples.t_ends.tolist(), samples.packed_info.tolist()
        ([2.0, 2.5], [2.5, 3.0], [[0, 2]])

    Nothing is differentiable. After Müller et al., Instant Neural Graphics Primitives, 2022, appendix E.1, and Li et al., NerfAcc, 2022;
    the lattice does not depend on the grid.
    """
    origins = require_tensor("origins", origins, torch.float32, (None, 3))
    n_rays = origins.shape[0]
    directions = require_tensor("directions", directions, torch.float32, (n_rays, 3))
    nears = require_tensor("nears", nears, torch.float32, (n_rays,))
    fars = require_tensor("fars", fars, torch.float32, (n_rays,))
    occupancy = require_tensor("occupancy", occupancy, torch.bool, (None, None, None, None))
    if 0 in occupancy.shape:
        raise ValueError(f"occupancy must have at least one level and one cell, got shape {tuple(occupancy.shape)}")
    # An empty cell's occupancy is 0, as is the logarithm of a block of one cell.
    blocks = occupancy if empty_blocks is None else empty_blocks
    if empty_blocks is not None:
        blocks = require_tensor("empty_blocks", empty_blocks, torch.uint8, tuple(occupancy.shape))
    aabb = require_tensor("aabb", aabb, torch.float32, (2, 3))
    if aabb.device.type == "cpu" and not bool((aabb[0] < aabb[1]).all() and aabb.isfinite().all()):
        raise ValueError(f"aabb must be finite with min < max, got {aabb.tolist()}")
    jitter = nears.new_zeros(n_rays) if jitter is None else jitter
    jitter = require_tensor("jitter", jitter, torch.float32, (n_rays,))
    step_size = require_positive("step_size", step_size)
    cone_angle = require_positive("cone_angle", cone_angle, allow_zero=True)
    max_step_size = require_positive("max_step_size", max_step_size, allow_inf=True)
    if max_step_size < step_size:
        raise ValueError(f"max_step_size must be >= step_size {step_size}, got {max_step_size}")
    limit = require_count("max_samples_per_ray", max_samples_per_ray, INT32_MAX)
    device = require_same_device(
        origins=origins,
        directions=directions,
        nears=nears,
        fars=fars,
        occupancy=occupancy,
        empty_blocks=blocks,
        aabb=aabb,
        jitter=jitter,
    )
    capacity = None if capacity is None else require_count("capacity", capacity, 0)

    from nerf_plugins.kernels import march as kernels
    from nerf_plugins.kernels.launch import launch

    rays = [origins, directions, nears, fars, jitter, occupancy, blocks, aabb, step_size, cone_angle, max_step_size]
    counts = torch.empty(n_rays, dtype=torch.int32, device=device)
    launch(kernels.count_samples, n_rays, [*rays, limit, counts], device)
    packed_info, n_samples, n_dropped_rays, n_wanted = allot(counts, capacity)
    packed = zero_samples(n_samples, device)
    launch(kernels.write_samples, n_rays, [*rays, packed_info, *packed], device)
    return PackedSamples(*packed, packed_info, n_dropped_rays, n_wanted)


# Blocks of 32 cells a side; larger ones would be rare.
_MAX_LOG2_SIDE = 5


@torch.no_grad()
def empty_blocks(occupancy: Bool[Tensor, "levels rx ry rz"]) -> UInt8[Tensor, "levels rx ry rz"]:
    """For each empty cell log2 of the side, in cells, of the largest empty block around it; 0 for an occupied cell.

    Blocks have sides of 1, 2, 4, ... 32 cells and begin at multiples of them; what sticks out of the grid counts as empty.

    Args:
        occupancy: which cells are occupied.

    Raises:
        TypeError: ``occupancy`` is no bool tensor.
        ValueError: it has not four dimensions.

    Example:
        Behind an occupied cell: blocks of 1, of 2 and of 4 cells.

        >>> row = torch.tensor([True, False, False, False, False, False, False, False]).view(1, 8, 1, 1)
        >>> empty_blocks(row).flatten().tolist()
        [0, 0, 1, 1, 2, 2, 2, 2]

    Nothing is differentiable, and nothing is read back from the device.
    """
    occupancy = require_tensor("occupancy", occupancy, torch.bool, (None, None, None, None))
    blocks = torch.zeros_like(occupancy, dtype=torch.uint8)
    sizes, coarse = occupancy.shape[1:], occupancy
    for log2_side in range(1, _MAX_LOG2_SIDE + 1):
        for axis in (1, 2, 3):
            coarse = _any_of_pairs(coarse, axis)
        fine = ~coarse
        for axis, size in zip((1, 2, 3), sizes):
            fine = fine.repeat_interleave(1 << log2_side, dim=axis).narrow(axis, 0, size)
        blocks += fine
    return blocks


def _any_of_pairs(occupied: Tensor, axis: int) -> Tensor:
    if occupied.shape[axis] % 2:
        pad = [0, 0] * (3 - axis) + [0, 1]
        occupied = F.pad(occupied, pad)
    first, second = occupied.unflatten(axis, (-1, 2)).unbind(axis + 1)
    return first | second
