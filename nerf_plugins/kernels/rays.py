"""Rays of pixels: one thread a ray."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})

# Newton's steps to where a lens shows a pixel; a lens that bends by half the picture needs five.
_MOST_STEPS = wp.constant(10)
# A step shorter than this, in units of the focal length, is the last one: float32 has no finer places.
_SHORTEST_STEP = wp.constant(1e-7)
# Below this the lens folds the picture: it shows two places in one pixel, and the step would lead nowhere.
_LEAST_STRETCH = wp.constant(1e-3)


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
    origins[i] = table[camera + 3]
    directions[i] = direction
    norms[i] = norm
    areas[i] = area(direction, ray + across, ray + down)


@wp.kernel
def lens_rays(
    first_ray: int,
    pixels: wp.array[wp.int64],
    table: wp.array[wp.vec3],
    lenses: wp.array2d[float],
    origins: wp.array[wp.vec3],
    directions: wp.array[wp.vec3],
    norms: wp.array[float],
    areas: wp.array[float],
):
    i = first_ray + wp.tid()
    camera = int(pixels[3 * i])
    y = float(pixels[3 * i + 1]) + 0.5
    x = float(pixels[3 * i + 2]) + 0.5
    ray = ray_through_lens(camera, x, y, table, lenses)
    norm = wp.length(ray)
    direction = ray / norm
    right = ray_through_lens(camera, x + 1.0, y, table, lenses)
    below = ray_through_lens(camera, x, y + 1.0, table, lenses)
    origins[i] = table[4 * camera + 3]
    directions[i] = direction
    norms[i] = norm
    areas[i] = area(direction, right, below)


@wp.func
def area(direction: wp.vec3, right: wp.vec3, below: wp.vec3):
    return wp.length(direction - wp.normalize(right)) * wp.length(direction - wp.normalize(below))


@wp.func
def ray_through_lens(camera: int, x: float, y: float, table: wp.array[wp.vec3], lenses: wp.array2d[float]):
    fx = lenses[camera, 0]
    fy = lenses[camera, 1]
    cx = lenses[camera, 2]
    cy = lenses[camera, 3]
    seen = wp.vec2((x - cx) / fx, (y - cy) / fy)
    place = undistorted(seen, lenses, camera)
    return (
        table[4 * camera + 2] + (place[0] * fx + cx) * table[4 * camera] + (place[1] * fy + cy) * table[4 * camera + 1]
    )


@wp.func
def undistorted(seen: wp.vec2, lenses: wp.array2d[float], camera: int):
    k1 = lenses[camera, 4]
    k2 = lenses[camera, 5]
    k3 = lenses[camera, 6]
    k4 = lenses[camera, 7]
    p1 = lenses[camera, 8]
    p2 = lenses[camera, 9]
    u = seen[0]
    v = seen[1]
    for _ in range(_MOST_STEPS):
        r2 = u * u + v * v
        radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * (k3 + r2 * k4)))
        slope = 2.0 * (k1 + r2 * (2.0 * k2 + r2 * (3.0 * k3 + r2 * 4.0 * k4)))
        miss_u = u * radial + 2.0 * p1 * u * v + p2 * (r2 + 2.0 * u * u) - seen[0]
        miss_v = v * radial + 2.0 * p2 * u * v + p1 * (r2 + 2.0 * v * v) - seen[1]
        # The Jacobian of a lens is symmetric.
        uu = radial + u * u * slope + 2.0 * p1 * v + 6.0 * p2 * u
        uv = u * v * slope + 2.0 * p1 * u + 2.0 * p2 * v
        vv = radial + v * v * slope + 2.0 * p2 * u + 6.0 * p1 * v
        stretch = uu * vv - uv * uv
        if wp.abs(stretch) <= _LEAST_STRETCH:
            break
        step = wp.vec2(vv * miss_u - uv * miss_v, uu * miss_v - uv * miss_u) / stretch
        u -= step[0]
        v -= step[1]
        if wp.length(step) < _SHORTEST_STEP:
            break
    return wp.vec2(u, v)
