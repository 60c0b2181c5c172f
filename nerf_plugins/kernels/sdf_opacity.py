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
    # softplus(far) - softplus(near), with softplus(x) = max(x, 0) + ln(1 + exp(-|x|)), so that nothing large is subtracted
    k = first_section + wp.tid()
    half_fall = 0.5 * fall(slopes[k], progress) * widths[k]
    far = -inv_s[0] * (sdf[k] + half_fall)
    near = -inv_s[0] * (sdf[k] - half_fall)
    small_far = wp.exp(-wp.abs(far))
    small_near = wp.exp(-wp.abs(near))
    linear = wp.max(far, 0.0) - wp.max(near, 0.0)
    depths[k] = wp.max(linear + log1p((small_far - small_near) / (1.0 + small_near)), 0.0)
    if logistics.shape[0] > 0:
        logistics[k] = wp.vec2(logistic(far, small_far), logistic(near, small_near))


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
    s = inv_s[0]
    slope = slopes[k]
    falls = fall(slope, progress)
    half_fall = 0.5 * falls * widths[k]
    at_far = logistics[k][0]
    at_near = logistics[k][1]
    grad = grad_depths[k]
    of_half_fall = -s * (at_far + at_near) * grad
    grad_sdf[k] = -s * (at_far - at_near) * grad
    grad_inv_s[k] = ((sdf[k] - half_fall) * at_near - (sdf[k] + half_fall) * at_far) * grad
    if grad_widths.shape[0] > 0:
        grad_widths[k] = 0.5 * falls * of_half_fall
    by_slope = float(0.0)
    if slope < 1.0:
        by_slope = 0.5 * (1.0 - progress)
    if slope < 0.0:
        by_slope = by_slope + progress
    grad_slopes[k] = 0.5 * widths[k] * by_slope * of_half_fall
