"""How spread out the weights of a ray are, forward and backward: one thread a ray, in one pass over its samples."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def distortion_forward(
    first_ray: int,
    weights: wp.array[float],
    s_starts: wp.array[float],
    s_ends: wp.array[float],
    packed_info: wp.array[wp.vec2i],
    losses: wp.array[float],
    moments: wp.array[wp.vec2],
):
    """``moments``: of each ray Σ w and Σ w m, which the backward pass needs."""
    i = first_ray + wp.tid()
    start = packed_info[i][0]
    total = float(0.0)
    moment = float(0.0)
    loss = float(0.0)
    for k in range(start, start + packed_info[i][1]):
        w = weights[k]
        # Middles from the ray's first sample on, so that what is subtracted below is small.
        m = 0.5 * (s_starts[k] + s_ends[k]) - s_starts[start]
        loss = loss + 2.0 * w * (m * total - moment) + w * w * (s_ends[k] - s_starts[k]) / 3.0
        total = total + w
        moment = moment + w * m
    losses[i] = loss
    moments[i] = wp.vec2(total, moment)


@wp.kernel
def distortion_backward(
    first_ray: int,
    weights: wp.array[float],
    s_starts: wp.array[float],
    s_ends: wp.array[float],
    packed_info: wp.array[wp.vec2i],
    moments: wp.array[wp.vec2],
    grad_losses: wp.array[float],
    grad_weights: wp.array[float],
):
    # dL/dw_k = 2 Σ_j w_j |m_k − m_j| + 2/3 w_k δ_k, the sum split at k
    i = first_ray + wp.tid()
    start = packed_info[i][0]
    before = float(0.0)
    moment_before = float(0.0)
    for k in range(start, start + packed_info[i][1]):
        w = weights[k]
        m = 0.5 * (s_starts[k] + s_ends[k]) - s_starts[start]
        behind = moments[i][0] - before - w
        moment_behind = moments[i][1] - moment_before - w * m
        distances = m * before - moment_before + moment_behind - m * behind
        grad_weights[k] = grad_losses[i] * (2.0 * distances + w * (s_ends[k] - s_starts[k]) * 2.0 / 3.0)
        before = before + w
        moment_before = moment_before + w * m
