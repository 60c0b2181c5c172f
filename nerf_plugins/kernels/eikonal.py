"""How far gradients of a distance are from length 1: one thread a sample."""

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def eikonal_forward(
    first_sample: int,
    n: int,
    gradients: wp.array[wp.vec3],
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    terms: wp.array[float],
):
    """``terms``: the errors, (n,), and after them 1 for each sample, 0 for padding."""
    k = first_sample + wp.tid()
    off = wp.length(gradients[k]) - 1.0
    terms[k] = 0.0
    terms[n + k] = 0.0
    if t_ends[k] > t_starts[k]:
        terms[k] = off * off
        terms[n + k] = 1.0


@wp.kernel
def eikonal_backward(
    first_sample: int,
    gradients: wp.array[wp.vec3],
    t_starts: wp.array[float],
    t_ends: wp.array[float],
    sums: wp.array[float],
    grad: wp.array[float],
    grad_gradients: wp.array[wp.vec3],
):
    """``sums``: of the errors, and of the samples."""
    k = first_sample + wp.tid()
    length = wp.length(gradients[k])
    pull = float(0.0)  # a gradient of length 0 has no direction to grow in
    if t_ends[k] > t_starts[k] and length > 0.0:
        pull = grad[0] * 2.0 * (length - 1.0) / (length * wp.max(sums[1], 1.0))
    grad_gradients[k] = pull * gradients[k]
