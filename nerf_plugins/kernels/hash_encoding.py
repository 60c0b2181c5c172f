"""Multiresolution hash encoding: features, their gradients, and the gradient of their position gradient.

A thread works on one level for a run of samples. With ``w_c(x)`` the interpolation weight of corner c and ``θ_c`` its table entry, a
level's features are ``φ(x) = Σ_c w_c θ_c``. Every kernel is a sum over the eight corners with the weights or their derivatives.

The loop over a run is plain C++ inside the Warp kernel, the same on CUDA and the CPU: only there can the compiler be told that no write
changes what is read. On the CPU it then works on as many samples at once as a vector register holds, which made the kernels 3 to 7 times as
fast as the same loop in Warp's Python. (For that the loop must have no branch, and the loops inside it must be unrolled.)

The table may be in half precision. Its numbers are then read two at a time, as a word of 32 bits: processors have no gather of 16 bits, and
so a corner of two features is one load. All sums are float32.
"""

from typing import Any, NamedTuple

import warp as wp

from nerf_plugins.kernels.native import ON_CUDA
from nerf_plugins.kernels.undisturbed import MadeOnce

wp.set_module_options({"enable_backward": False})

# Where a thread has one sample and adds atomically. There, samples without a gradient are passed over: the padding of a fixed buffer is
# all at one position, and its threads would queue up to add zeros to the same entries.

# What every loop over samples start .. end - 1 of level ``index`` needs.
_LEVEL = """
    const float scale = scales.data[index];
    const unsigned row = resolutions.data[index];
    const int offset = offsets.data[index];
    const unsigned n_entries = offsets.data[index + 1] - offset;
    const float* __restrict__ xyz = (const float*)positions.data;
    const float* __restrict__ along = (const float*)directions.data;
    struct Axis { unsigned vertex; float weight, slope, curvature; };

    // Where a coordinate lies between two vertices: the one below, the weight of the one above, its derivatives.
    // Outside [0, 1] the coordinate is clamped, and nothing changes with it; what is no number is 0.
    const auto locate = [=](float x) {
        const float clamped = x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f;
        const float position = clamped * scale + 0.5f;
        const int vertex = (int)position;
        const float t = position - (float)vertex, inside = x == clamped ? scale : 0.0f;
        const float weight = smoothstep ? t * t * (3.0f - 2.0f * t) : t;
        const float slope = smoothstep ? 6.0f * t * (1.0f - t) * inside : inside;
        const float curvature = smoothstep ? (6.0f - 12.0f * t) * inside * inside : 0.0f;
        return Axis{(unsigned)vertex, weight, slope, curvature};
    };
    // A vertex's entry in its level. Dense: vertices past the far faces take the entries of the next row, as in instant-ngp.
    const auto dense = [=](unsigned x, unsigned y, unsigned z) {
        const unsigned entry = x + row * (y + row * z);
        return entry < n_entries ? entry : entry - n_entries;
    };
    const auto hashed = [=](unsigned x, unsigned y, unsigned z) {
        return (x ^ (y * 2654435761u) ^ (z * 805459861u)) & (n_entries - 1u);
    };
    // Bit 0, 1, 2 of a corner's number is its side in x, y, z.
    const auto side = [](float weight, int is_upper) { return is_upper ? weight : 1.0f - weight; };
    const auto sign = [](float slope, int is_upper) { return is_upper ? slope : -slope; };
    const auto lerp = [](float a, float b, float t) { return a + (b - a) * t; };
"""

# Inside a loop over samples i: the cell's axes and its corners' entries.
_SAMPLE = """
        const Axis x = locate(xyz[3 * i]), y = locate(xyz[3 * i + 1]), z = locate(xyz[3 * i + 2]);
        const auto corner = [&](int c) {
            return (int)entry(x.vertex + (c & 1), y.vertex + ((c >> 1) & 1), z.vertex + (c >> 2));
        };
"""

# The numbers of an entry of the level.
_READ_SINGLE = """
    const float* __restrict__ table_numbers = (const float*)table.data + (size_t)offset * F;
    const auto read = [&](int entry, float* numbers) {
        #pragma unroll
        for (int f = 0; f < F; ++f) numbers[f] = table_numbers[entry * F + f];
    };
"""

# A level starts at a whole word, since its entries are a multiple of eight. A word is loaded once for both its numbers: of two loads CUDA's
# compiler makes loads of 16 bits.
_READ_HALF = """
    const unsigned* __restrict__ table_words = (const unsigned*)table.data + (size_t)offset * F / 2;
    const auto single = [](unsigned word) {{
        {half} number;
        number.u = (unsigned short)word;
        return (float)number;
    }};
    const auto read = [&](int entry, float* numbers) {{
        if (F == 1) numbers[0] = single(table_words[entry >> 1] >> (16 * (entry & 1)));
        #pragma unroll
        for (int f = 0; f < F - 1; f += 2) {{
            const unsigned word = table_words[entry * (F / 2) + f / 2];
            numbers[f] = single(word);
            numbers[f + 1] = single(word >> 16);
        }}
    }};
"""


def _read(table_dtype: Any) -> str:
    return _READ_SINGLE if table_dtype is wp.float32 else _READ_HALF.format(half=f"wp::{table_dtype.__name__}")


_PLAIN_WEIGHT = """
        const auto weight = [&](int c) {
            return side(x.weight, c & 1) * side(y.weight, (c >> 1) & 1) * side(z.weight, c >> 2);
        };
"""

# The derivative of the weight along the direction.
_SLOPE_WEIGHT = """
        const float dx = along[3 * i] * x.slope, dy = along[3 * i + 1] * y.slope, dz = along[3 * i + 2] * z.slope;
        const auto weight = [&](int c) {
            const float wx = side(x.weight, c & 1), wy = side(y.weight, (c >> 1) & 1), wz = side(z.weight, c >> 2);
            const float sx = sign(dx, c & 1), sy = sign(dy, (c >> 1) & 1), sz = sign(dz, c >> 2);
            return sx * wy * wz + wx * (sy * wz + wy * sz);
        };
"""

# How much the interpolated value v of the corners rises across the cell along each axis.
_RISES = """
        const auto blend = [&](float v00, float v10, float v01, float v11, float a, float b) {
            return lerp(lerp(v00, v10, a), lerp(v01, v11, a), b);
        };
        const float rise_x = blend(v[1] - v[0], v[3] - v[2], v[5] - v[4], v[7] - v[6], y.weight, z.weight);
        const float rise_y = blend(v[2] - v[0], v[3] - v[1], v[6] - v[4], v[7] - v[5], x.weight, z.weight);
        const float rise_z = blend(v[4] - v[0], v[5] - v[1], v[6] - v[2], v[7] - v[3], x.weight, y.weight);
"""

_GRADIENT = """
        out[3 * i] += rise_x * x.slope;
        out[3 * i + 1] += rise_y * y.slope;
        out[3 * i + 2] += rise_z * z.slope;
"""

_HESSIAN_ALONG = """
        const float xy = x.slope * y.slope * lerp(v[3] - v[2] - v[1] + v[0], v[7] - v[6] - v[5] + v[4], z.weight);
        const float xz = x.slope * z.slope * lerp(v[5] - v[4] - v[1] + v[0], v[7] - v[6] - v[3] + v[2], y.weight);
        const float yz = y.slope * z.slope * lerp(v[6] - v[4] - v[2] + v[0], v[7] - v[5] - v[3] + v[1], x.weight);
        const float dx = along[3 * i], dy = along[3 * i + 1], dz = along[3 * i + 2];
        out[3 * i] += x.curvature * rise_x * dx + xy * dy + xz * dz;
        out[3 * i + 1] += xy * dx + y.curvature * rise_y * dy + yz * dz;
        out[3 * i + 2] += xz * dx + yz * dy + z.curvature * rise_z * dz;
"""


class Kernels(NamedTuple):
    """The kernels for one number of features a level, one type of the table's numbers and one of features. Features are level by level:
    feature f of level l of sample i is at ``(l F + f) n_samples + i``. An item of a launch is a run of samples, in the first four of one
    level. Gradients and derivatives are float32.
    """

    encode: Any
    """features = Σ_c w_c θ_c"""
    encode_along: Any
    """features = Σ_c (∇w_c · direction) θ_c"""
    scatter: Any
    """grad_table[c] += w_c grad_features"""
    scatter_along: Any
    """grad_table[c] += (∇w_c · direction) grad_features"""
    position_gradient: Any
    """Σ_levels Σ_c (θ_c · grad_features) ∇w_c"""
    position_bend: Any
    """Σ_levels Σ_c (θ_c · grad_features) ∇²w_c direction"""


@MadeOnce
def kernels_for(n_features: int, table_dtype: Any, features_dtype: Any) -> Kernels:
    """Kernels for entries of that many features; the types are Warp's float32, float16 or bfloat16."""
    return Kernels(
        encode=_gather(n_features, table_dtype, features_dtype, _PLAIN_WEIGHT),
        encode_along=_gather(n_features, table_dtype, wp.float32, _SLOPE_WEIGHT),
        scatter=_scatter(n_features, _PLAIN_WEIGHT),
        scatter_along=_scatter(n_features, _SLOPE_WEIGHT),
        position_gradient=_to_positions(n_features, table_dtype, _GRADIENT),
        position_bend=_to_positions(n_features, table_dtype, _HESSIAN_ALONG),
    )


@MadeOnce
def _gather(n_features: int, table_dtype: Any, features_dtype: Any, weight: str) -> Any:
    vec = wp.types.vector(length=n_features, dtype=table_dtype)
    code = f"""{_LEVEL}
    constexpr int F = {n_features};
    {_read(table_dtype)}
    auto* __restrict__ out = features.data + (size_t)index * F * n_samples;
    const auto run = [&](auto entry) {{
        #pragma clang loop vectorize(assume_safety)
        for (int i = start; i < end; ++i) {{
            {_SAMPLE}{weight}
            float sum[F] = {{}};
            #pragma unroll
            for (int c = 0; c < 8; ++c) {{
                float theta[F];
                read(corner(c), theta);
                #pragma unroll
                for (int f = 0; f < F; ++f) sum[f] += weight(c) * theta[f];
            }}
            #pragma unroll
            for (int f = 0; f < F; ++f) out[(size_t)f * n_samples + i] = sum[f];
        }}
    }};
    if (row > 0) run(dense); else run(hashed);
    """

    @wp.func_native(code)
    def gather_run(
        positions: wp.array[wp.vec3],
        directions: wp.array[wp.vec3],
        table: wp.array[vec],
        scales: wp.array[float],
        resolutions: wp.array[int],
        offsets: wp.array[int],
        smoothstep: int,
        n_samples: int,
        index: int,
        start: int,
        end: int,
        features: wp.array[features_dtype],
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def gather(
        first_item: int,
        positions: wp.array[wp.vec3],
        directions: wp.array[wp.vec3],
        table: wp.array[vec],
        scales: wp.array[float],
        resolutions: wp.array[int],
        offsets: wp.array[int],
        smoothstep: int,
        n_samples: int,
        run: int,
        features: wp.array[features_dtype],
    ):
        item = first_item + wp.tid()
        n_runs = (n_samples + run - 1) // run
        index = item // n_runs
        start = (item - index * n_runs) * run
        gather_run(
            positions,
            directions,
            table,
            scales,
            resolutions,
            offsets,
            smoothstep,
            n_samples,
            index,
            start,
            wp.min(start + run, n_samples),
            features,
        )

    return gather


def _pass_over(sample: str, along: bool) -> str:
    """On CUDA goes on to the next sample where a sample's features have no gradient, or what is taken along a direction has none: all it
    would add are zeros.
    """
    has_direction = f"along[3 * {sample}] != 0.0f || along[3 * {sample} + 1] != 0.0f || along[3 * {sample} + 2] != 0.0f"
    return f"""
            #if {ON_CUDA}
            bool has_gradient = false;
            #pragma unroll
            for (int f = 0; f < F; ++f) has_gradient |= grad[(size_t)f * n_samples + {sample}] != 0.0f;
            if (!has_gradient || !({has_direction if along else "true"})) continue;
            #endif
    """


@MadeOnce
def _scatter(n_features: int, weight: str) -> Any:
    vec = wp.types.vector(length=n_features, dtype=wp.float32)
    # In blocks: their corners and weights several samples at once, then the additions one by one, since entries may coincide.
    code = f"""{_LEVEL}
    constexpr int F = {n_features};
    #if {ON_CUDA}
    constexpr int BLOCK = 1;
    #else
    constexpr int BLOCK = 64;
    #endif
    float* entries = (float*)grad_table.data + (size_t)offset * F;
    const float* __restrict__ grad = grad_features.data + (size_t)index * F * n_samples;
    int corners[BLOCK][8];
    float weights[BLOCK][8];
    const auto run = [&](auto entry) {{
        for (int first = start; first < end; first += BLOCK) {{
            {_pass_over("first", weight is _SLOPE_WEIGHT)}
            const int n = end - first < BLOCK ? end - first : BLOCK;
            #pragma clang loop vectorize(assume_safety)
            for (int k = 0; k < n; ++k) {{
                const int i = first + k;
                {_SAMPLE}{weight}
                #pragma unroll
                for (int c = 0; c < 8; ++c) {{
                    corners[k][c] = corner(c) * F;
                    weights[k][c] = weight(c);
                }}
            }}
            for (int k = 0; k < n; ++k) {{
                float g[F];
                #pragma unroll
                for (int f = 0; f < F; ++f) g[f] = grad[(size_t)f * n_samples + first + k];
                #pragma unroll
                for (int c = 0; c < 8; ++c)
                    #pragma unroll
                    for (int f = 0; f < F; ++f) wp::atomic_add(entries + corners[k][c] + f, weights[k][c] * g[f]);
            }}
        }}
    }};
    if (row > 0) run(dense); else run(hashed);
    """

    @wp.func_native(code)
    def scatter_run(
        positions: wp.array[wp.vec3],
        directions: wp.array[wp.vec3],
        scales: wp.array[float],
        resolutions: wp.array[int],
        offsets: wp.array[int],
        smoothstep: int,
        n_samples: int,
        index: int,
        start: int,
        end: int,
        grad_features: wp.array[float],
        grad_table: wp.array[vec],
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def scatter(
        first_item: int,
        positions: wp.array[wp.vec3],
        directions: wp.array[wp.vec3],
        scales: wp.array[float],
        resolutions: wp.array[int],
        offsets: wp.array[int],
        smoothstep: int,
        n_samples: int,
        run: int,
        grad_features: wp.array[float],
        grad_table: wp.array[vec],
    ):
        item = first_item + wp.tid()
        n_runs = (n_samples + run - 1) // run
        index = item // n_runs
        start = (item - index * n_runs) * run
        scatter_run(
            positions,
            directions,
            scales,
            resolutions,
            offsets,
            smoothstep,
            n_samples,
            index,
            start,
            wp.min(start + run, n_samples),
            grad_features,
            grad_table,
        )

    return scatter


@MadeOnce
def _to_positions(n_features: int, table_dtype: Any, derivative: str) -> Any:
    vec = wp.types.vector(length=n_features, dtype=table_dtype)
    code = f"""{_LEVEL}
    constexpr int F = {n_features};
    {_read(table_dtype)}
    const float* __restrict__ grad = grad_features.data + (size_t)index * F * n_samples;
    float* __restrict__ out = (float*)grad_positions.data;
    const auto run = [&](auto entry) {{
        #pragma clang loop vectorize(assume_safety)
        for (int i = start; i < end; ++i) {{
            {_pass_over("i", derivative is _HESSIAN_ALONG)}
            {_SAMPLE}
            float v[8] = {{}};
            #pragma unroll
            for (int c = 0; c < 8; ++c) {{
                float theta[F];
                read(corner(c), theta);
                #pragma unroll
                for (int f = 0; f < F; ++f) v[c] += theta[f] * grad[(size_t)f * n_samples + i];
            }}
            {_RISES}{derivative}
        }}
    }};
    if (row > 0) run(dense); else run(hashed);
    """

    @wp.func_native(code)
    def to_positions_run(
        positions: wp.array[wp.vec3],
        directions: wp.array[wp.vec3],
        table: wp.array[vec],
        scales: wp.array[float],
        resolutions: wp.array[int],
        offsets: wp.array[int],
        smoothstep: int,
        n_samples: int,
        index: int,
        start: int,
        end: int,
        grad_features: wp.array[float],
        grad_positions: wp.array[wp.vec3],
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def to_positions(
        first_item: int,
        positions: wp.array[wp.vec3],
        directions: wp.array[wp.vec3],
        table: wp.array[vec],
        scales: wp.array[float],
        resolutions: wp.array[int],
        offsets: wp.array[int],
        smoothstep: int,
        n_samples: int,
        run: int,
        n_levels: int,
        grad_features: wp.array[float],
        grad_positions: wp.array[wp.vec3],
    ):
        start = (first_item + wp.tid()) * run
        for index in range(n_levels):
            to_positions_run(
                positions,
                directions,
                table,
                scales,
                resolutions,
                offsets,
                smoothstep,
                n_samples,
                index,
                start,
                wp.min(start + run, n_samples),
                grad_features,
                grad_positions,
            )

    return to_positions
