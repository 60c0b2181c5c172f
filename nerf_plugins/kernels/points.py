"""Middles of pieces of rays, as a field sees them: one thread a piece."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.func
def nearness(x: wp.vec3):
    """1 over the largest component of x, where that is outside of the box's cube; else 1."""
    return 1.0 / wp.max(wp.max(wp.abs(x[0]), wp.abs(x[1])), wp.max(wp.abs(x[2]), 1.0))


@wp.kernel
def ray_points(
    first_piece: int,
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    ray_indices: wp.array[int],
    origins: wp.array[wp.vec3],
    directions: wp.array[wp.vec3],
    box_scale: wp.array[wp.vec3],
    box_shift: wp.array[wp.vec3],
    contracted: int,
    positions: wp.array[wp.vec3],
):
    i = first_piece + wp.tid()
    ray = ray_indices[i]
    t = t_starts[i] + 0.5 * (t_ends[i] - t_starts[i])
    x = wp.cw_mul(origins[ray] + t * directions[ray], box_scale[0]) + box_shift[0]
    if contracted != 0:
        one_over = nearness(x)
        x = (0.5 * (2.0 - one_over) * one_over) * x
    positions[i] = x
