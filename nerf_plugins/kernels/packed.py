"""Which slots of a fixed buffer each ray's samples get."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def allot_slots(
    first_ray: int,
    counts: wp.array[int],
    ends: wp.array[wp.int64],
    capacity: int,
    packed_info: wp.array[wp.vec2i],
    n_dropped_rays: wp.array[int],
):
    i = first_ray + wp.tid()
    count = counts[i]
    room = wp.int64(capacity)
    start = wp.min(ends[i] - wp.int64(count), room)
    if count > 0 and ends[i] > room:
        count = 0
        wp.atomic_add(n_dropped_rays, 0, 1)
    packed_info[i] = wp.vec2i(int(start), count)


@wp.kernel
def write_sections(
    first_ray: int,
    n: int,
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    keep: wp.array[wp.uint8],
    packed_info: wp.array[wp.vec2i],
    ray_indices: wp.array[int],
    packed_starts: wp.array[float],
    packed_ends: wp.array[float],
):
    """``n``: sections of a ray, kept or not."""
    i = first_ray + wp.tid()
    slot = packed_info[i][0]
    end = slot + packed_info[i][1]
    k = i * n
    while slot < end:
        if keep[k] != wp.uint8(0):
            ray_indices[slot] = i
            packed_starts[slot] = t_starts[k]
            packed_ends[slot] = t_ends[k]
            slot = slot + 1
        k = k + 1
