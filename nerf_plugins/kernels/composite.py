"""Volume rendering of packed samples, forward and backward: one thread a ray."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})

# A ray with less weight than this has no depth.
MIN_ACCUMULATION = wp.constant(1.0e-10)


@wp.func
def opacity(optical_depth: float):
    """``1 - exp(-x)``, by its series where the subtraction would lose digits."""
    x = optical_depth
    if x < 0.03:
        return x * (1.0 - x * (0.5 - x * (1.0 / 6.0 - x / 24.0)))
    return 1.0 - wp.exp(-x)


@wp.kernel
def composite_forward(
    first_ray: int,
    sigmas: wp.array[float],
    rgbs: wp.array[wp.vec3],
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    packed_info: wp.array[wp.vec2i],
    early_stop_eps: float,
    rgb: wp.array[wp.vec3],
    accumulation: wp.array[float],
    depth: wp.array[float],
    median_depth: wp.array[float],
    weights: wp.array[float],
    transmittance: wp.array[float],
):
    i = first_ray + wp.tid()
    start = packed_info[i][0]
    end = start + packed_info[i][1]
    light = float(1.0)
    colour = wp.vec3(0.0, 0.0, 0.0)
    total = float(0.0)
    distance = float(0.0)
    k = int(start)
    while k < end and light >= early_stop_eps:
        optical_depth = sigmas[k] * (t_ends[k] - t_starts[k])
        weight = light * opacity(optical_depth)
        weights[k] = weight
        transmittance[k] = light
        colour = colour + weight * rgbs[k]
        total = total + weight
        distance = distance + weight * 0.5 * (t_starts[k] + t_ends[k])
        light = light * wp.exp(-optical_depth)
        k = k + 1
    rgb[i] = colour
    accumulation[i] = total
    depth[i] = 0.0
    median_depth[i] = 0.0
    if total > MIN_ACCUMULATION:
        depth[i] = distance / total
        median_depth[i] = find_median(start, k, 0.5 * total, weights, t_starts, t_ends)


@wp.func
def find_median(
    start: int,
    end: int,
    half: float,
    weights: wp.array[float],
    t_starts: wp.array[float],
    t_ends: wp.array[float],
):
    passed = float(0.0)
    k = int(start)
    while k < end - 1 and passed + weights[k] < half:
        passed = passed + weights[k]
        k = k + 1
    return 0.5 * (t_starts[k] + t_ends[k])


@wp.kernel
def composite_backward(
    first_ray: int,
    sigmas: wp.array[float],
    rgbs: wp.array[wp.vec3],
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    packed_info: wp.array[wp.vec2i],
    weights: wp.array[float],
    transmittance: wp.array[float],
    accumulation: wp.array[float],
    depth: wp.array[float],
    grad_rgb: wp.array[wp.vec3],
    grad_accumulation: wp.array[float],
    grad_depth: wp.array[float],
    grad_weights: wp.array[float],
    grad_sigmas: wp.array[float],
    grad_rgbs: wp.array[wp.vec3],
):
    # dL/dσ_k = δ_k (T_{k+1} g_k − Σ_{j>k} w_j g_j) with g_j = dL/dw_j; summed from the far end, so nothing cancels.
    i = first_ray + wp.tid()
    start = packed_info[i][0]
    end = start + packed_info[i][1]
    total = accumulation[i]
    depth_scale = float(0.0)
    if grad_depth.shape[0] > 0 and total > MIN_ACCUMULATION:
        depth_scale = grad_depth[i] / total
    of_colour = wp.vec3(0.0, 0.0, 0.0)
    if grad_rgb.shape[0] > 0:
        of_colour = grad_rgb[i]
    of_all = float(0.0)
    if grad_accumulation.shape[0] > 0:
        of_all = grad_accumulation[i]
    behind = float(0.0)
    k = int(end - 1)
    while k >= start:
        light = transmittance[k]  # 0 where the forward pass stopped early
        if light > 0.0:
            t_mid = 0.5 * (t_starts[k] + t_ends[k])
            g = wp.dot(of_colour, rgbs[k]) + of_all
            if grad_weights.shape[0] > 0:
                g = g + grad_weights[k]
            g = g + depth_scale * (t_mid - depth[i])
            width = t_ends[k] - t_starts[k]
            grad_sigmas[k] = width * (light * wp.exp(-sigmas[k] * width) * g - behind)
            grad_rgbs[k] = weights[k] * of_colour
            behind = behind + weights[k] * g
        k = k - 1
