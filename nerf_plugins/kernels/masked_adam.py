"""Adam on the numbers that have a gradient: all others, and their moments, stay as they are."""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
import warp as wp

from nerf_plugins.kernels.native import ON_CUDA

wp.set_module_options({"enable_backward": False})

# On the CPU a block without any gradient costs no more than reading it. On CUDA an item is one number.
_CODE = f"""
    #if {ON_CUDA}
    constexpr int BLOCK = 1;
    #else
    constexpr int BLOCK = 32;
    #endif
    const float* __restrict__ g = grad.data;
    float* __restrict__ p = parameter.data;
    float* __restrict__ m = exp_avg.data;
    float* __restrict__ v = exp_avg_sq.data;
    for (int block = start; block < end; block += BLOCK) {{
        const int stop = block + BLOCK < end ? block + BLOCK : end;
        unsigned any = 0;
        #pragma clang loop vectorize(assume_safety)
        for (int i = block; i < stop; ++i) any |= g[i] != 0.0f ? 1u : 0u;
        if (!any) continue;
        #pragma clang loop vectorize(assume_safety)
        for (int i = block; i < stop; ++i) {{
            const bool has_gradient = g[i] != 0.0f;
            const float mean = beta1 * m[i] + (1.0f - beta1) * g[i], square = beta2 * v[i] + (1.0f - beta2) * g[i] * g[i];
            const float moved = p[i] - rate * mean / (sqrtf(square) * root + eps);
            m[i] = has_gradient ? mean : m[i];
            v[i] = has_gradient ? square : v[i];
            p[i] = has_gradient ? moved : p[i];
        }}
    }}
"""


@wp.func_native(_CODE)
def adam_run(
    start: int,
    end: int,
    rate: float,
    beta1: float,
    beta2: float,
    root: float,
    eps: float,
    grad: wp.array[float],
    parameter: wp.array[float],
    exp_avg: wp.array[float],
    exp_avg_sq: wp.array[float],
): ...


@wp.kernel
def masked_adam(
    first_item: int,
    n: int,
    run: int,
    rate: float,
    beta1: float,
    beta2: float,
    root: float,
    eps: float,
    grad: wp.array[float],
    parameter: wp.array[float],
    exp_avg: wp.array[float],
    exp_avg_sq: wp.array[float],
):
    """``rate`` and ``root`` have the corrections of the moments' beginning in them; an item works on ``run`` numbers."""
    start = (first_item + wp.tid()) * run
    adam_run(start, wp.min(start + run, n), rate, beta1, beta2, root, eps, grad, parameter, exp_avg, exp_avg_sq)
