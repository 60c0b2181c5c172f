"""Pieces of pixels' cones as Gaussians: one thread a piece."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})


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
    middle = 0.5 * (t_starts[i] + t_ends[i])
    half = 0.5 * (t_ends[i] - t_starts[i])
    m2 = middle * middle
    h2 = half * half
    whole = wp.max(3.0 * m2 + h2, 1.0e-20)
    radius = radii[ray_indices[i]]
    share = (4.0 / 15.0) * h2 * (h2 / whole)
    along = h2 / 3.0 - share * (12.0 * m2 - h2) / whole
    across = radius * radius * (m2 / 4.0 + (5.0 / 12.0) * h2 - share)
    t_means[i] = middle + 2.0 * middle * (h2 / whole)
    t_variances[i] = along
    r_variances[i] = across
    scales[i] = wp.pow(wp.max(along * across * across, 1.0e-30), 1.0 / 6.0)
