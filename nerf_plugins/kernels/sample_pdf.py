"""Inverse transform sampling of piecewise-constant densities on packed intervals."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def accumulate_pdf(
    first_ray: int,
    weights: wp.array[float],
    packed_info: wp.array[wp.vec2i],
    padding: float,
    cdf: wp.array[float],
):
    """``cdf[k]``: the unnormalised probability up to and with interval k of its ray."""
    i = first_ray + wp.tid()
    start = packed_info[i][0]
    total = float(0.0)
    for k in range(packed_info[i][1]):
        total = total + weights[start + k] + padding
        cdf[start + k] = total


@wp.func
def find_interval(cdf: wp.array[float], start: int, end: int, target: float):
    """The first interval of ``[start, end)`` whose cumulated probability exceeds the target, at most the last one."""
    low = int(start)
    high = int(end - 1)
    while low < high:
        middle = (low + high) / 2
        if cdf[middle] > target:
            high = middle
        else:
            low = middle + 1
    return low


@wp.kernel
def invert_cdf(
    first_item: int,
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    packed_info: wp.array[wp.vec2i],
    cdf: wp.array[float],
    n_new: int,
    u: wp.array[float],
    t: wp.array[float],
):
    item = first_item + wp.tid()
    i = item / n_new
    start = packed_info[i][0]
    count = packed_info[i][1]
    if count == 0:
        t[item] = 0.0
        return
    target = u[item] * cdf[start + count - 1]
    k = find_interval(cdf, start, start + count, target)
    before = float(0.0)
    if k > start:
        before = cdf[k - 1]
    fraction = wp.clamp((target - before) / (cdf[k] - before), 0.0, 1.0)
    t[item] = t_starts[k] + fraction * (t_ends[k] - t_starts[k])
