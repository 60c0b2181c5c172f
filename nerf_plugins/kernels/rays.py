"""Rays of pixels: one thread a ray."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def pinhole_rays(
    first_ray: int,
    pixels: wp.array[wp.int64],
    table: wp.array[wp.vec3],
    origins: wp.array[wp.vec3],
    directions: wp.array[wp.vec3],
    norms: wp.array[float],
    areas: wp.array[float],
):
    i = first_ray + wp.tid()
    camera = 4 * int(pixels[3 * i])
    y = float(pixels[3 * i + 1]) + 0.5
    x = float(pixels[3 * i + 2]) + 0.5
    across = table[camera]
    down = table[camera + 1]
    ray = table[camera + 2] + x * across + y * down
    norm = wp.length(ray)
    direction = ray / norm
    to_right = wp.length(direction - wp.normalize(ray + across))
    to_below = wp.length(direction - wp.normalize(ray + down))
    origins[i] = table[camera + 3]
    directions[i] = direction
    norms[i] = norm
    areas[i] = to_right * to_below
