"""Total variation of a grid whose vertices have rows of numbers, or none: values, and the gradient of some rows.

With Δ the differences to the next vertex along x, y and z, the variation of a number of vertex v is
``t_v = sqrt(Δx² + Δy² + Δz² + ε)``. A vertex's number is in its own variation and in those of the three vertices before it; so a row's
gradient is gathered from its neighbourhood, and no two threads write to one place. A difference to a vertex without a row is 0: such a
neighbour's place is taken by the row itself.
"""

from typing import Any

import warp as wp

from nerf_plugins.kernels.native import ON_CUDA
from nerf_plugins.kernels.undisturbed import MadeOnce

wp.set_module_options({"enable_backward": False})

_EPSILON = 1e-9

# On the CPU an item is a run of rows, whose numbers are vectorised; on CUDA it is one number of a row.
_CODE = """
    constexpr int C = {n_numbers};
    #if {on_cuda}
    constexpr int F = 1;
    const int begin = item / C, end = begin + 1, first = item - begin * C;
    #else
    constexpr int F = C;
    const int begin = item * run, end = begin + run < n_chosen ? begin + run : n_chosen, first = 0;
    #endif
    const int* __restrict__ link = links.data;
    const float* __restrict__ theta = rows.data;
    float* __restrict__ out_values = values.data;
    float* __restrict__ out_grad = grad.data;
    for (int k = begin; k < end; ++k) {{
        const int own = start + k, vertex = vertices.data[own];
        const int x = vertex % nx, y = vertex / nx % ny, z = vertex / nx / ny;
        const auto row_at = [&](int dx, int dy, int dz, int otherwise) {{
            const int u = x + dx, v = y + dy, w = z + dz;
            if (u < 0 || v < 0 || w < 0 || u >= nx || v >= ny || w >= nz) return otherwise;
            const int row = link[(w * ny + v) * nx + u];
            return row < 0 ? otherwise : row;
        }};
        const auto numbers = [&](int row) {{ return theta + (size_t)row * C + first; }};
        const float* __restrict__ c = numbers(own);
        const float* __restrict__ x1 = numbers(row_at(1, 0, 0, own));
        const float* __restrict__ y1 = numbers(row_at(0, 1, 0, own));
        const float* __restrict__ z1 = numbers(row_at(0, 0, 1, own));
        // The vertices before it, and their next ones along the other axes.
        const int row_x = row_at(-1, 0, 0, own), row_y = row_at(0, -1, 0, own), row_z = row_at(0, 0, -1, own);
        const auto beside = [&](int row, int dx, int dy, int dz) {{
            return numbers(row == own ? own : row_at(dx, dy, dz, row));
        }};
        const float* __restrict__ x0 = numbers(row_x);
        const float* __restrict__ x0_y = beside(row_x, -1, 1, 0);
        const float* __restrict__ x0_z = beside(row_x, -1, 0, 1);
        const float* __restrict__ y0 = numbers(row_y);
        const float* __restrict__ y0_x = beside(row_y, 1, -1, 0);
        const float* __restrict__ y0_z = beside(row_y, 0, -1, 1);
        const float* __restrict__ z0 = numbers(row_z);
        const float* __restrict__ z0_x = beside(row_z, 1, 0, -1);
        const float* __restrict__ z0_y = beside(row_z, 0, 1, -1);
        const auto variation = [](float a, float b, float c) {{ return sqrtf(a * a + b * b + c * c + {epsilon}f); }};
        #pragma clang loop vectorize(assume_safety)
        for (int f = 0; f < F; ++f) {{
            const float dx = x1[f] - c[f], dy = y1[f] - c[f], dz = z1[f] - c[f];
            const float bx = c[f] - x0[f], by = c[f] - y0[f], bz = c[f] - z0[f];
            const float t = variation(dx, dy, dz);
            out_values[(size_t)k * C + first + f] = t;
            out_grad[(size_t)k * C + first + f] = -(dx + dy + dz) / t + bx / variation(bx, x0_y[f] - x0[f], x0_z[f] - x0[f])
                + by / variation(by, y0_x[f] - y0[f], y0_z[f] - y0[f])
                + bz / variation(bz, z0_x[f] - z0[f], z0_y[f] - z0[f]);
        }}
    }}
"""


@MadeOnce
def variation_kernel(n_numbers: int) -> Any:
    """The kernel for rows of that many numbers: variations and gradients of rows ``start`` .. ``start + n_chosen - 1``."""

    @wp.func_native(_CODE.format(n_numbers=n_numbers, on_cuda=ON_CUDA, epsilon=_EPSILON))
    def variation_run(
        rows: wp.array[float],
        links: wp.array[int],
        vertices: wp.array[int],
        nx: int,
        ny: int,
        nz: int,
        start: int,
        n_chosen: int,
        run: int,
        item: int,
        values: wp.array[float],
        grad: wp.array[float],
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def variation(
        first_item: int,
        rows: wp.array[float],
        links: wp.array[int],
        vertices: wp.array[int],
        nx: int,
        ny: int,
        nz: int,
        start: int,
        n_chosen: int,
        run: int,
        values: wp.array[float],
        grad: wp.array[float],
    ):
        item = first_item + wp.tid()
        variation_run(rows, links, vertices, nx, ny, nz, start, n_chosen, run, item, values, grad)

    return variation
