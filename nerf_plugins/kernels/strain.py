"""How far 3x3 matrices are from rotations, and which way that grows: one thread a matrix."""

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def log_strain_with_gradient(
    first: int,
    matrices: wp.array[wp.mat33],
    smallest: float,
    strains: wp.array[float],
    gradients: wp.array[wp.mat33],
):
    """``gradients``: U diag(2 log σ / σ) V^T, so that none is divided by a difference of singular values."""
    i = first + wp.tid()
    u, s, v = wp.svd3(matrices[i])
    strain = float(0.0)
    slopes = wp.vec3(0.0)
    for k in range(3):
        size = wp.abs(s[k])  # the last one is below 0 in a reflection
        log_size = wp.log(wp.max(size, smallest))
        strain = strain + log_size * log_size
        if size > smallest:
            slopes[k] = 2.0 * log_size / s[k]
    strains[i] = strain
    gradients[i] = u * wp.diag(slopes) * wp.transpose(v)
