"""Packed samples: those of a batch of rays in one buffer, one ray after the other."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_count, require_same_device, require_tensor

INT32_MAX = 2**31 - 1


class PackedSamples(NamedTuple):
    """The samples of a batch of rays, one ray after the other, each ray's in ascending ``t``."""

    ray_indices: Int[Tensor, "n_samples"]
    """Which ray each sample belongs to, int32. 0 in padding."""
    t_starts: Float[Tensor, "n_samples"]
    """Where each interval starts, in units of the ray's direction. 0 in padding."""
    t_ends: Float[Tensor, "n_samples"]
    """Where each interval ends."""
    packed_info: Int[Tensor, "n_rays 2"]
    """(start, count) of each ray's samples, int32. No ray refers to padding."""
    n_dropped_rays: Int[Tensor, ""]
    """Rays that had samples but no room in the buffer, int32, on the device."""
    n_wanted: Int[Tensor, ""]
    """Samples that all rays together have, those of dropped rays too, int64, on the device."""


@torch.no_grad()
def pack_sections(
    t_starts: Float[Tensor, "n_rays n"],
    t_ends: Float[Tensor, "n_rays n"],
    keep: Bool[Tensor, "n_rays n"],
    *,
    capacity: int | None = None,
) -> PackedSamples:
    """Packs the sections that are kept, in their order.

    Args:
        t_starts: where each section starts, float32, ascending in each ray.
        t_ends: where it ends, float32.
        keep: which sections become samples.
        capacity: length of the sample buffers. With it nothing is read back from a CUDA device; rays that do not fit keep no sample
            and are counted. None for buffers as long as the samples there are (one host sync on CUDA).

    Returns:
        The packed samples. Not differentiable.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device, or a negative capacity.

    Example:
        Two rays with three sections each; the first keeps two of them, the second one.

        >>> t_starts = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
        >>> keep = torch.tensor([[True, False, True], [False, False, True]])
        >>> samples = pack_sections(t_starts, t_starts + 1.0, keep)
        >>> samples.ray_indices.tolist(), samples.t_starts.tolist(), samples.packed_info.tolist()
        ([0, 0, 1], [0.0, 2.0, 2.0], [[0, 2], [2, 1]])
        >>> pack_sections(t_starts, t_starts + 1.0, keep, capacity=2).n_dropped_rays.item()  # the second finds no room
        1
    """
    t_starts = require_tensor("t_starts", t_starts, torch.float32, (None, None))
    t_ends = require_tensor("t_ends", t_ends, torch.float32, tuple(t_starts.shape))
    keep = require_tensor("keep", keep, torch.bool, tuple(t_starts.shape))
    device = require_same_device(t_starts=t_starts, t_ends=t_ends, keep=keep)
    capacity = None if capacity is None else require_count("capacity", capacity, 0)
    packed_info, n_samples, n_dropped_rays, n_wanted = allot(keep.sum(-1, dtype=torch.int32), capacity)

    from nerf_plugins.kernels.launch import launch
    from nerf_plugins.kernels.packed import write_sections

    packed = zero_samples(n_samples, device)
    sections = [keep.shape[1], t_starts.view(-1), t_ends.view(-1), keep.view(-1)]
    launch(write_sections, len(keep), [*sections, packed_info, *packed], device)
    return PackedSamples(*packed, packed_info, n_dropped_rays, n_wanted)


def zero_samples(n_samples: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Zeros for indices of rays, starts and ends, (n_samples,) each."""
    ray_indices, t_starts, t_ends = torch.zeros(3, n_samples, dtype=torch.int32, device=device).unbind(0)
    return ray_indices, t_starts.view(torch.float32), t_ends.view(torch.float32)


@torch.no_grad()
def select_samples(
    samples: PackedSamples, keep: Bool[Tensor, "n_samples"], *, capacity: int | None = None
) -> PackedSamples:
    """Packs the samples that are kept, in their order.

    Args:
        samples: the samples of all rays.
        keep: which of them to keep; in padding it must be False.
        capacity: length of the new buffers, as for :func:`pack_sections`.

    Returns:
        The packed samples; rays that had been dropped before are counted too. Not differentiable.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device, or a negative capacity.

    Example:
        >>> t_starts, keep = torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.ones(2, 2, dtype=torch.bool)
        >>> samples = pack_sections(t_starts, t_starts + 1.0, keep)
        >>> fewer = select_samples(samples, torch.tensor([False, True, True, True]))
        >>> fewer.ray_indices.tolist(), fewer.t_starts.tolist(), fewer.packed_info.tolist()
        ([0, 1, 1], [1.0, 0.0, 1.0], [[0, 1], [1, 2]])
    """
    t_starts = require_tensor("samples.t_starts", samples.t_starts, torch.float32, (None,))
    keep = require_tensor("keep", keep, torch.bool, (len(t_starts),))
    require_same_device(t_starts=t_starts, keep=keep)
    capacity = None if capacity is None else require_count("capacity", capacity, 0)
    starts, counts = samples.packed_info.unbind(-1)
    before = F.pad(torch.cumsum(keep, 0, dtype=torch.int32), (1, 0))  # kept ones before each sample
    kept_before = before[starts.long()]
    packed_info, n_samples, n_dropped_rays, n_wanted = allot(before[(starts + counts).long()] - kept_before, capacity)
    ray_indices = samples.ray_indices.long()
    # What is not kept goes to one slot past the end, which is cut off.
    slots = (packed_info[:, 0] - kept_before)[ray_indices] + before[:-1]
    slots = torch.where(keep & (packed_info[:, 1] > 0)[ray_indices], slots, n_samples).long()

    def scatter(values: Tensor) -> Tensor:
        return values.new_zeros(n_samples + 1).index_copy_(0, slots, values)[:n_samples]

    return PackedSamples(
        scatter(samples.ray_indices),
        scatter(t_starts),
        scatter(samples.t_ends),
        packed_info,
        samples.n_dropped_rays + n_dropped_rays,
        n_wanted,
    )


def allot(counts: Tensor, capacity: int | None) -> tuple[Tensor, int, Tensor, Tensor]:
    """Gives each ray its slots.

    Args:
        counts: samples of each ray, (n_rays,) int32.
        capacity: length of the buffers; None for as long as the samples there are (one host sync on CUDA).

    Returns:
        packed_info (n_rays, 2), the length of the buffers, how many rays found no room (such a ray's count is 0), and the counts' sum.
    """
    ends = torch.cumsum(counts, 0)  # int64
    n_wanted = ends[-1] if len(ends) else ends.new_zeros(())
    if capacity is None:
        n_samples = int(n_wanted)
        if n_samples > INT32_MAX:
            raise ValueError(
                f"{n_samples} samples are more than {INT32_MAX}: take fewer rays, or larger steps (step_size)"
            )
        return torch.stack([(ends - counts).int(), counts], dim=-1), n_samples, counts.new_zeros(()), n_wanted

    from nerf_plugins.kernels.launch import launch
    from nerf_plugins.kernels.packed import allot_slots

    packed_info, n_dropped_rays = counts.new_empty(len(counts), 2), counts.new_zeros(1)
    # In one piece: on the CPU threads would lose counts of dropped rays.
    launch(allot_slots, len(counts), [counts, ends, capacity, packed_info, n_dropped_rays], counts.device, n_pieces=1)
    return packed_info, capacity, n_dropped_rays[0], n_wanted
