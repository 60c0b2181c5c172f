"""The parts of rays that are in a box: one thread a ray."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})

# A smaller component of a direction counts as this: the ray meets its two planes nowhere near.
SMALLEST = wp.constant(1.0e-12)


@wp.kernel
def clip_rays(
    first_ray: int,
    origins: wp.array[wp.vec3],
    directions: wp.array[wp.vec3],
    nears: wp.array[float],
    fars: wp.array[float],
    aabb: wp.array[wp.vec3],
    clipped_nears: wp.array[float],
    clipped_fars: wp.array[float],
):
    i = first_ray + wp.tid()
    near = nears[i]
    far = fars[i]
    origin = origins[i]
    direction = directions[i]
    for axis in range(3):
        along = direction[axis]
        if wp.abs(along) < SMALLEST:
            along = SMALLEST
        inverse = 1.0 / along
        t0 = (aabb[0][axis] - origin[axis]) * inverse
        t1 = (aabb[1][axis] - origin[axis]) * inverse
        near = wp.max(near, wp.min(t0, t1))
        far = wp.min(far, wp.max(t0, t1))
    clipped_nears[i] = near
    clipped_fars[i] = wp.max(near, far)
