"""Trilinear look-up in a grid whose vertices have rows of numbers, or none: values, gradients of the rows and of the positions.

``links`` says for each vertex which row is its; -1 is a vertex without one, whose numbers are 0. With ``w_c(x)`` the interpolation
weight of corner c and ``θ_c`` its row, the values are ``Σ_c w_c θ_c``.

A row's numbers lie side by side, so on the CPU a loop over them is vectorised; on CUDA each number has its own thread, and those of one row
read and add to neighbouring addresses. As in the hash kernels the loops are C++ text, where the compiler can be told that nothing aliases.

On the CPU additions are not atomic: piece p of a scatter owns the layers of vertices whose z is p modulo the number of pieces, and
passes over all samples for them. A sample's two layers are neighbours, so pieces have equal shares wherever the samples are.
"""

from typing import Any, NamedTuple

import warp as wp

from nerf_plugins.kernels.native import ON_CUDA
from nerf_plugins.kernels.undisturbed import MadeOnce

wp.set_module_options({"enable_backward": False})

# Where a number has a thread of its own and adds atomically.

# The cell of a sample: per axis the vertex below and the weight of the one above; the slope is 0 where the coordinate was clamped.
_CELLS = """
    const float* __restrict__ xyz = (const float*)positions.data;
    const int* __restrict__ link = links.data;
    struct Axis { int vertex; float weight, slope; };
    const auto locate = [](float x, int n) {
        const float clamped = x > -1.0f ? (x < 1.0f ? x : 1.0f) : -1.0f;
        const float half = 0.5f * (float)(n - 1), position = (clamped + 1.0f) * half;
        const int below = (int)position, vertex = below < n - 2 ? below : n - 2;
        return Axis{vertex, position - (float)vertex, x == clamped ? half : 0.0f};
    };
    const auto side = [](float weight, int is_upper) { return is_upper ? weight : 1.0f - weight; };
"""

# Inside a loop over samples i. Bit 0, 1, 2 of a corner's number is its side in x, y, z.
_SAMPLE = """
        const Axis x = locate(xyz[3 * i], nx), y = locate(xyz[3 * i + 1], ny), z = locate(xyz[3 * i + 2], nz);
        const auto row_of = [&](int c) {
            return link[((z.vertex + (c >> 2)) * ny + y.vertex + ((c >> 1) & 1)) * nx + x.vertex + (c & 1)];
        };
        const auto weight = [&](int c) {
            return side(x.weight, c & 1) * side(y.weight, (c >> 1) & 1) * side(z.weight, c >> 2);
        };
"""

# A single number a row: several samples at once.
_GATHER_SINGLE = """
    #pragma clang loop vectorize(assume_safety)
    for (int i = start; i < end; ++i) {{
        {sample}
        float sum = 0.0f;
        #pragma unroll
        for (int c = 0; c < 8; ++c) {{
            const int row = row_of(c);
            sum += row < 0 ? 0.0f : weight(c) * theta[row < 0 ? 0 : row];
        }}
        out[i] = sum;
    }}
"""

_GATHER_ROWS = """
    for (int i = start; i < end; ++i) {{
        {sample}
        float sum[F] = {{}};
        #pragma unroll
        for (int c = 0; c < 8; ++c) {{
            const int row = row_of(c);
            if (row < 0) continue;
            const float w = weight(c);
            const float* __restrict__ numbers = theta + (size_t)row * C + first;
            #pragma unroll
            for (int f = 0; f < F; ++f) sum[f] += w * numbers[f];
        }}
        #pragma unroll
        for (int f = 0; f < F; ++f) out[(size_t)i * C + first + f] = sum[f];
    }}
"""

# Which numbers of which samples an item works on.
_SHARE = """
    constexpr int C = {n_numbers};
    #if {on_cuda}
    constexpr int F = 1;
    const int start = item / C, end = start + 1, first = item - start * C;
    #else
    constexpr int F = C;
    const int start = item * run, end = start + run < n_samples ? start + run : n_samples, first = 0;
    #endif
"""


class Kernels(NamedTuple):
    """The kernels for rows of one length. Values and their gradients are (n_samples, length)."""

    look_up: Any
    """values = Σ_c w_c θ_c"""
    scatter: Any
    """grad_rows[c] += w_c grad_values"""
    position_gradient: Any
    """Σ_c (θ_c · grad_values) ∇w_c"""


@MadeOnce
def kernels_for(n_numbers: int) -> Kernels:
    """Kernels for rows of that many numbers."""
    return Kernels(_look_up(n_numbers), _scatter(n_numbers), _position_gradient(n_numbers))


def _look_up(n_numbers: int) -> Any:
    gather = _GATHER_SINGLE if n_numbers == 1 else _GATHER_ROWS
    code = f"""{_SHARE.format(n_numbers=n_numbers, on_cuda=ON_CUDA)}{_CELLS}
    const float* __restrict__ theta = rows.data;
    float* __restrict__ out = values.data;
    {gather.format(sample=_SAMPLE)}
    """

    @wp.func_native(code)
    def look_up_run(
        positions: wp.array[wp.vec3],
        rows: wp.array[float],
        links: wp.array[int],
        nx: int,
        ny: int,
        nz: int,
        n_samples: int,
        run: int,
        item: int,
        values: wp.array[float],
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def look_up(
        first_item: int,
        positions: wp.array[wp.vec3],
        rows: wp.array[float],
        links: wp.array[int],
        nx: int,
        ny: int,
        nz: int,
        n_samples: int,
        run: int,
        values: wp.array[float],
    ):
        look_up_run(positions, rows, links, nx, ny, nz, n_samples, run, first_item + wp.tid(), values)

    return look_up


def _scatter(n_numbers: int) -> Any:
    # An item is one number of one sample on CUDA, and a piece of the layers on the CPU.
    code = f"""
    constexpr int C = {n_numbers};
    #if {ON_CUDA}
    constexpr int F = 1;
    const int start = item / C, end = start + 1, first = item - start * C, n_pieces = 1, piece = 0;
    #else
    constexpr int F = C;
    const int start = 0, end = n_samples, first = 0, n_pieces = n_items, piece = item;
    #endif
    {_CELLS}
    const float* __restrict__ grad = grad_values.data;
    float* __restrict__ out = grad_rows.data;
    for (int i = start; i < end; ++i) {{
        const float* __restrict__ g = grad + (size_t)i * C + first;
        if (F == 1 && g[0] == 0.0f) continue;
        const Axis z = locate(xyz[3 * i + 2], nz);
        const bool own[2] = {{z.vertex % n_pieces == piece, (z.vertex + 1) % n_pieces == piece}};
        if (!own[0] && !own[1]) continue;
        const Axis x = locate(xyz[3 * i], nx), y = locate(xyz[3 * i + 1], ny);
        #pragma unroll
        for (int c = 0; c < 8; ++c) {{
            if (!own[c >> 2]) continue;
            const int row = link[((z.vertex + (c >> 2)) * ny + y.vertex + ((c >> 1) & 1)) * nx + x.vertex + (c & 1)];
            if (row < 0) continue;
            const float w = side(x.weight, c & 1) * side(y.weight, (c >> 1) & 1) * side(z.weight, c >> 2);
            float* __restrict__ sums = out + (size_t)row * C + first;
            #if {ON_CUDA}
            wp::atomic_add(sums, w * g[0]);
            #else
            #pragma clang loop vectorize(enable)
            for (int f = 0; f < F; ++f) sums[f] += w * g[f];
            #endif
        }}
    }}
    """

    @wp.func_native(code)
    def scatter_run(
        positions: wp.array[wp.vec3],
        grad_values: wp.array[float],
        links: wp.array[int],
        nx: int,
        ny: int,
        nz: int,
        n_samples: int,
        n_items: int,
        item: int,
        grad_rows: wp.array[float],
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def scatter(
        first_item: int,
        positions: wp.array[wp.vec3],
        grad_values: wp.array[float],
        links: wp.array[int],
        nx: int,
        ny: int,
        nz: int,
        n_samples: int,
        n_items: int,
        grad_rows: wp.array[float],
    ):
        scatter_run(positions, grad_values, links, nx, ny, nz, n_samples, n_items, first_item + wp.tid(), grad_rows)

    return scatter


def _position_gradient(n_numbers: int) -> Any:
    code = f"""{_CELLS}
    constexpr int C = {n_numbers};
    const float* __restrict__ theta = rows.data;
    const float* __restrict__ g = grad_values.data + (size_t)i * C;
    float* __restrict__ out = (float*)grad_positions.data;
    {_SAMPLE}
    float v[8] = {{}};
    #pragma unroll
    for (int c = 0; c < 8; ++c) {{
        const int row = row_of(c);
        if (row < 0) continue;
        float product = 0.0f;
        for (int f = 0; f < C; ++f) product += theta[(size_t)row * C + f] * g[f];
        v[c] = product;
    }}
    const auto lerp = [](float a, float b, float t) {{ return a + (b - a) * t; }};
    const auto blend = [&](float v00, float v10, float v01, float v11, float a, float b) {{
        return lerp(lerp(v00, v10, a), lerp(v01, v11, a), b);
    }};
    out[3 * i] = x.slope * blend(v[1] - v[0], v[3] - v[2], v[5] - v[4], v[7] - v[6], y.weight, z.weight);
    out[3 * i + 1] = y.slope * blend(v[2] - v[0], v[3] - v[1], v[6] - v[4], v[7] - v[5], x.weight, z.weight);
    out[3 * i + 2] = z.slope * blend(v[4] - v[0], v[5] - v[1], v[6] - v[2], v[7] - v[3], x.weight, y.weight);
    """

    @wp.func_native(code)
    def position_gradient_of(
        positions: wp.array[wp.vec3],
        rows: wp.array[float],
        links: wp.array[int],
        nx: int,
        ny: int,
        nz: int,
        i: int,
        grad_values: wp.array[float],
        grad_positions: wp.array[wp.vec3],
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def position_gradient(
        first_item: int,
        positions: wp.array[wp.vec3],
        rows: wp.array[float],
        links: wp.array[int],
        nx: int,
        ny: int,
        nz: int,
        grad_values: wp.array[float],
        grad_positions: wp.array[wp.vec3],
    ):
        position_gradient_of(positions, rows, links, nx, ny, nz, first_item + wp.tid(), grad_values, grad_positions)

    return position_gradient
