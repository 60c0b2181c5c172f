"""What rays marched to a surface see there, and the sections of them that are drawn from it."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

from nerf_plugins.kernels.composite import opacity
from nerf_plugins.kernels.sdf_opacity import depth_between, ends_of

wp.set_module_options({"enable_backward": False})

# The slope of a distance along a ray that meets the surface head on.
HEAD_ON = wp.constant(-1.0)


@wp.func
def fall_after(k: int, sdf: wp.array[float], t_starts: wp.array[float], t_ends: wp.array[float]):
    """The slope of the distance between the middles of a step and of the next one, where it falls."""
    gap = 0.5 * (t_starts[k + 1] + t_ends[k + 1]) - 0.5 * (t_starts[k] + t_ends[k])
    return wp.clamp((sdf[k + 1] - sdf[k]) / wp.max(gap, 1.0e-6), HEAD_ON, 0.0)


@wp.kernel
def surface_weights(
    first_ray: int,
    sdf: wp.array[float],
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    packed_info: wp.array[wp.vec2i],
    inv_s: wp.array[float],
    max_inv_s: float,
    weights: wp.array[float],
):
    i = first_ray + wp.tid()
    start = packed_info[i][0]
    end = start + packed_info[i][1]
    s = wp.min(inv_s[0], max_inv_s)
    light = float(1.0)
    before = float(HEAD_ON)
    for k in range(start, end):
        after = float(HEAD_ON)
        if k + 1 < end:
            after = fall_after(k, sdf, t_starts, t_ends)
        half_fall = 0.5 * wp.min(before, after) * (t_ends[k] - t_starts[k])
        depth = depth_between(ends_of(sdf[k], half_fall, s))
        weights[k] = light * opacity(depth)
        light = light * wp.exp(-depth)
        before = after


@wp.func
def explores(ray: int, share: float, chances: wp.array[float]):
    if chances.shape[0] == 0:
        return False
    return chances[ray] < share


@wp.kernel
def surface_sections(
    first_section: int,
    n: int,
    edges: wp.array[float],
    packed_info: wp.array[wp.vec2i],
    longest: float,
    share: float,
    chances: wp.array[float],
    places: wp.array[float],
    nears: wp.array[float],
    fars: wp.array[float],
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    keep: wp.array[wp.uint8],
):
    """``n``: sections of a ray; ``chances`` of length 0 if no ray explores."""
    section = first_section + wp.tid()
    i = section / n
    k = section - i * n
    edge = section + i  # a ray has an edge more than sections
    start = edges[edge]
    end = edges[edge + 1]
    if k == 0:
        start = wp.max(start, end - longest)
    else:
        end = wp.min(end, start + longest)
    is_sampled = packed_info[i][1] > 0
    if packed_info[i][1] == 0 and explores(i, share, chances):
        start = nears[i] + places[edge] * (fars[i] - nears[i])
        end = nears[i] + places[edge + 1] * (fars[i] - nears[i])
        is_sampled = True
    t_starts[section] = start
    t_ends[section] = end
    keep[section] = wp.uint8(0)
    if is_sampled and end > start:
        keep[section] = wp.uint8(1)
