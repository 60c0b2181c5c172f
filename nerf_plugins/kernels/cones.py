"""Pieces of pixels' cones as Gaussians: one thread a piece."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

from nerf_plugins.kernels.points import nearness

wp.set_module_options({"enable_backward": False})


@wp.func
def moments(t_start: float, t_end: float, radius: float):
    middle = 0.5 * (t_start + t_end)
    half = 0.5 * (t_end - t_start)
    m2 = middle * middle
    h2 = half * half
    whole = wp.max(3.0 * m2 + h2, 1.0e-20)
    share = (4.0 / 15.0) * h2 * (h2 / whole)
    along = h2 / 3.0 - share * (12.0 * m2 - h2) / whole
    across = radius * radius * (m2 / 4.0 + (5.0 / 12.0) * h2 - share)
    return middle + 2.0 * middle * (h2 / whole), along, across


@wp.func
def volume(along: float, across: float):
    return wp.sqrt(wp.max(along * across * across, 1.0e-30))


@wp.kernel
def cone_moments(
    first_piece: int,
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    radii: wp.array[float],
    ray_indices: wp.array[int],
    t_means: wp.array[float],
    t_variances: wp.array[float],
    r_variances: wp.array[float],
    scales: wp.array[float],
):
    i = first_piece + wp.tid()
    t, along, across = moments(t_starts[i], t_ends[i], radii[ray_indices[i]])
    t_means[i] = t
    t_variances[i] = along
    r_variances[i] = across
    scales[i] = wp.pow(volume(along, across), 1.0 / 3.0)


@wp.kernel
def cone_points(
    first_piece: int,
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    radii: wp.array[float],
    ray_indices: wp.array[int],
    origins: wp.array[wp.vec3],
    directions: wp.array[wp.vec3],
    box_scale: wp.array[wp.vec3],
    box_shift: wp.array[wp.vec3],
    contracted: int,
    positions: wp.array[wp.vec3],
    scales: wp.array[float],
):
    i = first_piece + wp.tid()
    ray = ray_indices[i]
    t, along, across = moments(t_starts[i], t_ends[i], radii[ray])
    scale = box_scale[0]
    x = wp.cw_mul(origins[ray] + t * directions[ray], scale) + box_shift[0]
    stretch = scale[0] * scale[1] * scale[2]  # of volumes
    if contracted != 0:
        one_over = nearness(x)
        nearer = (2.0 - one_over) * one_over
        x = (0.5 * nearer) * x
        stretch *= 0.125 * (nearer * one_over) * (nearer * one_over)
    positions[i] = x
    scales[i] = wp.pow(volume(along, across) * stretch, 1.0 / 3.0)
