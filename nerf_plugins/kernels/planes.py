"""Products of look-ups in planes and lines: features, and their gradients.

With ``v_k(x)`` the bilinear value of a plane at two of a point's coordinates, or the linear value of a line at one, a product's features
are ``φ(x) = Π_k v_k(x)`` over its factors k, feature by feature. All planes and lines lie in one table of vertices.

A thread works on one product for a run of samples and some of the features. The features are the inner loop: those of a vertex lie side by
side, one load for a vector register of the CPU and neighbours for the threads of a GPU. As in the hash encoding the loops are plain C++
inside the Warp kernel, one source for both.
"""

from itertools import accumulate
from typing import Any, NamedTuple

import warp as wp

from nerf_plugins.kernels.native import ON_CUDA
from nerf_plugins.kernels.undisturbed import MadeOnce

wp.set_module_options({"enable_backward": False})


# Before a loop over features. Were it unrolled, clang would have no loop to make vectors of, and CUDA's compiler too few registers.
_OVER_FEATURES = """#pragma clang loop vectorize(assume_safety)
        #pragma unroll 1"""

_LOCATE = """
    const float* __restrict__ x = positions.data;
    const float* __restrict__ numbers = table.data;
    const int* __restrict__ factors = layout.data + product * K * 5;
    struct Axis { int vertex; float weight, slope; };

    // Where a coordinate lies between two vertices of a factor: the one below, the weight of the one above, its derivative.
    // Outside [-1, 1] the coordinate is clamped, and nothing changes with it; what is no number is -1.
    const auto locate = [](float x, int size) {
        const float clamped = x > -1.0f ? (x < 1.0f ? x : 1.0f) : -1.0f, half = 0.5f * (float)(size - 1);
        const float position = (clamped + 1.0f) * half;
        const int below = (int)position, vertex = below < size - 2 ? below : size - 2;
        return Axis{vertex, position - (float)vertex, x == clamped ? half : 0.0f};
    };
"""


class _Factor(NamedTuple):
    """Text of the kernels for factor k of a product. Written out, since the compiler makes vectors of an innermost loop only: that over the
    features c.
    """

    k: int
    first: int
    """Number of its first corner: 4 corners of a plane's cell, 2 of a line's."""
    n_axes: int

    @property
    def corners(self) -> range:
        return range(self.first, self.first + 2 * self.n_axes)

    def locate(self) -> str:
        """Where corner q's features begin (atq), and its weight (wq)."""
        k, at = self.k, [f"at{q}" for q in self.corners]
        text = f"""
        const Axis a{k} = locate(x[(size_t)i * n_coordinates + factors[{5 * k}]], factors[{5 * k + 2}]);"""
        weights = [f"(1.0f - a{k}.weight)", f"a{k}.weight"]
        if self.n_axes == 1:
            places = [f"(factors[{5 * k + 4}] + a{k}.vertex) * C", f"{at[0]} + C"]
        else:
            text += f"""
        const Axis b{k} = locate(x[(size_t)i * n_coordinates + factors[{5 * k + 1}]], factors[{5 * k + 3}]);
        const int row{k} = factors[{5 * k + 3}] * C;"""
            first = f"(factors[{5 * k + 4}] + b{k}.vertex) * C + a{k}.vertex * row{k}"
            places = [first, f"{at[0]} + C", f"{at[0]} + row{k}", f"{at[0]} + row{k} + C"]
            weights = [f"{wa} * {wb}" for wa in weights for wb in (f"(1.0f - b{k}.weight)", f"b{k}.weight")]
        for q, place, weight in zip(self.corners, places, weights):
            text += f"""
        const int at{q} = {place};
        const float w{q} = {weight};"""
        return text

    def value(self) -> str:
        """At feature c: the corners' numbers (nq) and their mean (vk)."""
        numbers = "".join(f"const float n{q} = numbers[at{q} + c]; " for q in self.corners)
        return f"{numbers}const float v{self.k} = {' + '.join(f'w{q} * n{q}' for q in self.corners)};"

    def rises(self) -> list[str]:
        """How much the value rises across the cell, along each axis."""
        k, n = self.k, [f"n{q}" for q in self.corners]
        if self.n_axes == 1:
            return [f"{n[1]} - {n[0]}"]
        along_a = f"({n[2]} - {n[0]}) + b{k}.weight * (({n[3]} - {n[1]}) - ({n[2]} - {n[0]}))"
        along_b = f"({n[1]} - {n[0]}) + a{k}.weight * (({n[3]} - {n[2]}) - ({n[1]} - {n[0]}))"
        return [along_a, along_b]


class _Code:
    """The kernels' loops for products of one form."""

    def __init__(self, n_axes: tuple[int, ...], n_features: int, chunk: int) -> None:
        firsts = accumulate((2 * n for n in n_axes), initial=0)
        self.factors = [_Factor(k, first, n) for k, (first, n) in enumerate(zip(firsts, n_axes))]
        self.constants = f"constexpr int K = {len(n_axes)}, C = {n_features}, CHUNK = {chunk};"
        self.begin = f"{_LOCATE}    for (int i = start; i < end; ++i) {{"
        self.corners = "".join(factor.locate() for factor in self.factors)
        self.values = "\n            ".join(factor.value() for factor in self.factors)

    def _gradient(self, k: int) -> str:
        """The gradient of a factor's value: what is handed in, times the other factors."""
        return " * ".join(["grad_row[c]", *(f"v{factor.k}" for factor in self.factors if factor.k != k)])

    def look_up(self) -> str:
        return f"""{self.constants}{self.begin}
        float* __restrict__ row = out.data + (size_t)i * width + product * C;
        {self.corners}
        {_OVER_FEATURES}
        for (int c = chunk * CHUNK; c < (chunk + 1) * CHUNK; ++c) {{
            {self.values}
            row[c] = {" * ".join(f"v{factor.k}" for factor in self.factors)};
        }}
    }}
    """

    def scatter(self) -> str:
        """On CUDA samples without a gradient are passed over: the padding of a fixed buffer is all at one position, and its threads would
        queue up to add zeros to the same vertices. On the CPU no two threads have the same product and features.
        """
        parts = "\n".join(f"            parts[{factor.k}][n] = {self._gradient(factor.k)};" for factor in self.factors)
        add = "".join(
            f"""
        {_OVER_FEATURES}
        for (int n = 0; n < CHUNK; ++n) add(sums + at{q} + n, w{q} * parts[{factor.k}][n]);"""
            for factor in self.factors
            for q in factor.corners
        )
        return f"""{self.constants}
    const auto add = [](float* sum, float part) {{
        #if {ON_CUDA}
        wp::atomic_add(sum, part);
        #else
        *sum += part;
        #endif
    }};
    {self.begin}
        const float* __restrict__ grad_row = grad.data + (size_t)i * width + product * C;
        #if {ON_CUDA}
        bool has_gradient = false;
        for (int c = chunk * CHUNK; c < (chunk + 1) * CHUNK; ++c) has_gradient |= grad_row[c] != 0.0f;
        if (!has_gradient) continue;
        #endif
        {self.corners}
        float parts[K][CHUNK];
        {_OVER_FEATURES}
        for (int n = 0; n < CHUNK; ++n) {{
            const int c = chunk * CHUNK + n;
            {self.values}
{parts}
        }}
        float* sums = out.data + chunk * CHUNK;{add}
    }}
    """

    def to_positions(self) -> str:
        """The order of the sums over features is left to the compiler: it has vectors of them."""
        sums, adds, ends = [], [], []
        for factor in self.factors:
            adds.append(f"const float g{factor.k} = {self._gradient(factor.k)};")
            for axis, rise in enumerate(factor.rises()):
                name, slope = f"sum{factor.k}{axis}", f"{'ab'[axis]}{factor.k}.slope"
                sums.append(f"{name} = 0.0f")
                adds.append(f"{name} += g{factor.k} * ({rise});")
                target = f"out.data[(size_t)i * n_coordinates + factors[{5 * factor.k + axis}]]"
                ends.append(f"{target} += {name} * {slope};")
        return f"""{self.constants}{self.begin}
        const float* __restrict__ grad_row = grad.data + (size_t)i * width + product * C;
        {self.corners}
        float {", ".join(sums)};
        {{
            #pragma clang fp reassociate(on)
            {_OVER_FEATURES}
            for (int c = 0; c < C; ++c) {{
                {self.values}
                {" ".join(adds)}
            }}
        }}
        {" ".join(ends)}
    }}
    """


class Kernels(NamedTuple):
    """The kernels for products of one form. All read ``layout``, (n_products, K, 5): a factor's two axes, its sizes along them, and its
    first vertex in the table; a line has the size 1 along its second axis.
    """

    look_up: Any
    """out[i, product C + c] = Π_k v_kc(x_i)"""
    scatter: Any
    """out[corner of k, c] += weight grad[i, product C + c] Π_(j≠k) v_jc(x_i)"""
    to_positions: Any
    """out[i] += Σ_c Σ_k grad[i, product C + c] Π_(j≠k) v_jc(x_i) ∇v_kc(x_i), over all products"""


@MadeOnce
def kernels_for(n_axes: tuple[int, ...], n_features: int, chunk: int) -> Kernels:
    """Kernels for products of such factors.

    Args:
        n_axes: of each factor of a product: 2 for a plane, 1 for a line.
        n_features: C, of a vertex.
        chunk: features of a thread; a divisor of C.
    """
    code = _Code(n_axes, n_features, chunk)
    return Kernels(_of_parts(code.look_up()), _of_parts(code.scatter()), _of_all_products(code.to_positions()))


def _native(code: str) -> Any:
    @wp.func_native(code)
    def run(
        positions: wp.array[float],
        table: wp.array[float],
        layout: wp.array[int],
        grad: wp.array[float],
        n_coordinates: int,
        width: int,
        product: int,
        chunk: int,
        start: int,
        end: int,
        out: wp.array[float],
    ): ...

    return run


def _of_parts(code: str) -> Any:
    """A kernel whose items are runs of samples, products and chunks of features; which of these come first the strides say."""
    run = _native(code)

    @wp.kernel(module="unique", enable_backward=False)
    def of_parts(
        first_item: int,
        positions: wp.array[float],
        table: wp.array[float],
        layout: wp.array[int],
        grad: wp.array[float],
        n_coordinates: int,
        width: int,
        n_samples: int,
        run_length: int,
        n_products: int,
        n_chunks: int,
        run_stride: int,
        product_stride: int,
        chunk_stride: int,
        out: wp.array[float],
    ):
        item = first_item + wp.tid()
        n_runs = (n_samples + run_length - 1) // run_length
        start = (item // run_stride) % n_runs * run_length
        product = (item // product_stride) % n_products
        chunk = (item // chunk_stride) % n_chunks
        end = wp.min(start + run_length, n_samples)
        run(positions, table, layout, grad, n_coordinates, width, product, chunk, start, end, out)

    return of_parts


def _of_all_products(code: str) -> Any:
    """A kernel whose items are runs of samples; a thread sums over the products."""
    run = _native(code)

    @wp.kernel(module="unique", enable_backward=False)
    def of_all_products(
        first_item: int,
        positions: wp.array[float],
        table: wp.array[float],
        layout: wp.array[int],
        grad: wp.array[float],
        n_coordinates: int,
        width: int,
        n_samples: int,
        run_length: int,
        n_products: int,
        out: wp.array[float],
    ):
        start = (first_item + wp.tid()) * run_length
        end = wp.min(start + run_length, n_samples)
        for product in range(n_products):
            run(positions, table, layout, grad, n_coordinates, width, product, 0, start, end, out)

    return of_all_products
