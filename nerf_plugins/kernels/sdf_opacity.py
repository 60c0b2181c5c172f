"""Optical depths of sections of a ray through a signed distance field, forward and backward: one thread a section."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.func
def log1p(x: float):
    """``log(1 + x)``, by its series where the sum would lose digits."""
    if wp.abs(x) < 0.01:
        return x * (1.0 - x * (0.5 - x * (1.0 / 3.0 - 0.25 * x)))
    return wp.log(1.0 + x)


@wp.func
def logistic(x: float, small: float):
    """``small``: exp(-|x|)."""
    if x < 0.0:
        return small / (1.0 + small)
    return 1.0 / (1.0 + small)


@wp.func
def fall(slope: float, progress: float):
    return -(wp.max(0.5 - 0.5 * slope, 0.0) * (1.0 - progress) + wp.max(-slope, 0.0) * progress)


@wp.struct
class Ends:
    """Of a section, in units of 1 / inv_s and with the other sign: at the far end and at the near one, and the exponentials of their
    negative sizes."""

    far: float
    near: float
    small_far: float
    small_near: float


@wp.func
def ends_of(sdf: float, half_fall: float, s: float):
    ends = Ends()
    ends.far = -s * (sdf + half_fall)
    ends.near = -s * (sdf - half_fall)
    ends.small_far = wp.exp(-wp.abs(ends.far))
    ends.small_near = wp.exp(-wp.abs(ends.near))
    return ends


@wp.func
def depth_between(ends: Ends):
    # softplus(far) - softplus(near), with softplus(x) = max(x, 0) + ln(1 + exp(-|x|)), so that nothing large is subtracted
    linear = wp.max(ends.far, 0.0) - wp.max(ends.near, 0.0)
    return wp.max(linear + log1p((ends.small_far - ends.small_near) / (1.0 + ends.small_near)), 0.0)


@wp.func
def logistics_at(ends: Ends):
    return wp.vec2(logistic(ends.far, ends.small_far), logistic(ends.near, ends.small_near))


@wp.kernel
def optical_depths_forward(
    first_section: int,
    sdf: wp.array[float],
    slopes: wp.array[float],
    widths: wp.array[float],
    inv_s: wp.array[float],
    progress: float,
    depths: wp.array[float],
    logistics: wp.array[wp.vec2],
):
    """``logistics``: of both ends of each section, which the backward pass needs; of length 0 if there will be none."""
    k = first_section + wp.tid()
    ends = ends_of(sdf[k], 0.5 * fall(slopes[k], progress) * widths[k], inv_s[0])
    depths[k] = depth_between(ends)
    if logistics.shape[0] > 0:
        logistics[k] = logistics_at(ends)


@wp.struct
class DepthGradient:
    """Of an optical depth, with respect to what it is made of."""

    of_sdf: float
    of_half_fall: float
    of_inv_s: float


@wp.func
def depth_gradient(sdf: float, half_fall: float, s: float, logistics: wp.vec2, grad: float):
    at_far = logistics[0]
    at_near = logistics[1]
    result = DepthGradient()
    result.of_sdf = -s * (at_far - at_near) * grad
    result.of_half_fall = -s * (at_far + at_near) * grad
    result.of_inv_s = ((sdf - half_fall) * at_near - (sdf + half_fall) * at_far) * grad
    return result


@wp.func
def fall_by_slope(slope: float, progress: float):
    """The derivative of what counts as the fall."""
    by_slope = float(0.0)
    if slope < 1.0:
        by_slope = 0.5 * (1.0 - progress)
    if slope < 0.0:
        by_slope = by_slope + progress
    return by_slope


@wp.kernel
def optical_depths_backward(
    first_section: int,
    sdf: wp.array[float],
    slopes: wp.array[float],
    widths: wp.array[float],
    inv_s: wp.array[float],
    progress: float,
    logistics: wp.array[wp.vec2],
    grad_depths: wp.array[float],
    grad_sdf: wp.array[float],
    grad_slopes: wp.array[float],
    grad_widths: wp.array[float],
    grad_inv_s: wp.array[float],
):
    """``grad_inv_s``: each section's share, (n,); ``grad_widths`` of length 0 if nobody asks for it."""
    k = first_section + wp.tid()
    falls = fall(slopes[k], progress)
    grad = depth_gradient(sdf[k], 0.5 * falls * widths[k], inv_s[0], logistics[k], grad_depths[k])
    grad_sdf[k] = grad.of_sdf
    grad_inv_s[k] = grad.of_inv_s
    if grad_widths.shape[0] > 0:
        grad_widths[k] = 0.5 * falls * grad.of_half_fall
    grad_slopes[k] = 0.5 * widths[k] * fall_by_slope(slopes[k], progress) * grad.of_half_fall


# A section is taken to be no shorter than this where a density is made of its depth.
SHORTEST = wp.constant(1.0e-10)


@wp.kernel
def densities_forward(
    first_section: int,
    sdf: wp.array[float],
    gradients: wp.array[wp.vec3],
    directions: wp.array[wp.vec3],
    ray_indices: wp.array[int],
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    inv_s: wp.array[float],
    progress: float,
    sigmas: wp.array[float],
    logistics: wp.array[wp.vec2],
):
    """``logistics`` as in :func:`optical_depths_forward`."""
    k = first_section + wp.tid()
    slope = wp.dot(gradients[k], directions[ray_indices[k]])
    width = t_ends[k] - t_starts[k]
    ends = ends_of(sdf[k], 0.5 * fall(slope, progress) * width, inv_s[0])
    sigmas[k] = depth_between(ends) / wp.max(width, SHORTEST)
    if logistics.shape[0] > 0:
        logistics[k] = logistics_at(ends)


@wp.kernel
def densities_backward(
    first_section: int,
    sdf: wp.array[float],
    gradients: wp.array[wp.vec3],
    directions: wp.array[wp.vec3],
    ray_indices: wp.array[int],
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    inv_s: wp.array[float],
    progress: float,
    logistics: wp.array[wp.vec2],
    grad_sigmas: wp.array[float],
    grad_sdf: wp.array[float],
    grad_gradients: wp.array[wp.vec3],
    grad_slopes: wp.array[float],
    grad_inv_s: wp.array[float],
):
    """``grad_inv_s``: each section's share, (n,); ``grad_slopes`` of length 0 if the directions learn nothing."""
    k = first_section + wp.tid()
    direction = directions[ray_indices[k]]
    slope = wp.dot(gradients[k], direction)
    width = t_ends[k] - t_starts[k]
    half_fall = 0.5 * fall(slope, progress) * width
    grad = depth_gradient(sdf[k], half_fall, inv_s[0], logistics[k], grad_sigmas[k] / wp.max(width, SHORTEST))
    of_slope = 0.5 * width * fall_by_slope(slope, progress) * grad.of_half_fall
    grad_sdf[k] = grad.of_sdf
    grad_gradients[k] = of_slope * direction
    grad_inv_s[k] = grad.of_inv_s
    if grad_slopes.shape[0] > 0:
        grad_slopes[k] = of_slope
