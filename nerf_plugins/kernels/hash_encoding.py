"""Multiresolution hash encoding: features, their gradients, and the gradient of their position gradient.

A thread works on one level for a run of samples. With ``w_c(x)`` the interpolation weight of corner c and ``θ_c`` its table entry, a
level's features are ``φ(x) = Σ_c w_c θ_c``. Every kernel is a sum over the eight corners with the weights or their derivatives.
"""

# ruff: noqa: D103  (Warp functions: the module and the ops' docstrings say what is computed)
from functools import lru_cache
from typing import Any, NamedTuple

import warp as wp

wp.set_module_options({"enable_backward": False})

PRIME_Y = wp.constant(wp.uint32(2654435761))
PRIME_Z = wp.constant(wp.uint32(805459861))

vec8i = wp.types.vector(length=8, dtype=wp.int32)
vec8f = wp.types.vector(length=8, dtype=wp.float32)


@wp.struct
class Level:
    """One level of the grid: vertices lie ``1 / scale`` apart; its entries start at ``offset`` in the table."""

    scale: float
    resolution: int
    offset: int
    size: int


@wp.struct
class Axis:
    """Interpolation along one axis: the vertex below, the weight of the one above, its first and second derivative."""

    vertex: int
    weight: float
    slope: float
    curvature: float


@wp.func
def load_level(index: int, scales: wp.array[float], resolutions: wp.array[int], offsets: wp.array[int]):
    level = Level()
    level.scale = scales[index]
    level.resolution = resolutions[index]
    level.offset = offsets[index]
    level.size = offsets[index + 1] - offsets[index]
    return level


@wp.func
def locate(x: float, scale: float, smoothstep: int):
    """Where a coordinate lies between two vertices. Outside [0, 1] it is clamped, and nothing changes with it."""
    axis = Axis()
    position = wp.clamp(x, 0.0, 1.0) * scale + 0.5
    axis.vertex = int(position)
    t = position - float(axis.vertex)
    axis.weight = t
    axis.slope = scale
    axis.curvature = 0.0
    if smoothstep == 1:
        axis.weight = t * t * (3.0 - 2.0 * t)
        axis.slope = 6.0 * t * (1.0 - t) * scale
        axis.curvature = (6.0 - 12.0 * t) * scale * scale
    if x < 0.0 or x > 1.0:
        axis.slope = 0.0
        axis.curvature = 0.0
    return axis


@wp.func
def corner_entries(level: Level, x: int, y: int, z: int):
    """Table entries of a cell's corners; bit 0, 1, 2 of a corner's number is its side in x, y, z."""
    entries = vec8i()
    if level.resolution > 0:
        # Dense. Vertices past the far faces take the entries of the next row: the layout of instant-ngp.
        row = level.resolution
        first = x + row * (y + row * z)
        for c in range(8):
            entry = first + (c & 1) + row * (((c >> 1) & 1) + row * (c >> 2))
            if entry >= level.size:
                entry = entry - level.size
            entries[c] = level.offset + entry
    else:
        mask = wp.uint32(level.size - 1)
        for c in range(8):
            hash_y = wp.uint32(y + ((c >> 1) & 1)) * PRIME_Y
            hash_z = wp.uint32(z + (c >> 2)) * PRIME_Z
            entries[c] = level.offset + int((wp.uint32(x + (c & 1)) ^ hash_y ^ hash_z) & mask)
    return entries


@wp.func
def side(weight: float, is_upper: int):
    if is_upper == 1:
        return weight
    return 1.0 - weight


@wp.func
def sign(slope: float, is_upper: int):
    if is_upper == 1:
        return slope
    return -slope


@wp.func
def plain_weights(x: Axis, y: Axis, z: Axis, direction: wp.vec3):
    """Interpolation weights of a cell's corners."""
    weights = vec8f()
    for c in range(8):
        weights[c] = side(x.weight, c & 1) * side(y.weight, (c >> 1) & 1) * side(z.weight, c >> 2)
    return weights


@wp.func
def slope_weights(x: Axis, y: Axis, z: Axis, direction: wp.vec3):
    """Derivatives of the interpolation weights along a direction."""
    along = wp.cw_mul(direction, wp.vec3(x.slope, y.slope, z.slope))
    weights = vec8f()
    for c in range(8):
        wx = side(x.weight, c & 1)
        wy = side(y.weight, (c >> 1) & 1)
        wz = side(z.weight, c >> 2)
        dx = sign(along[0], c & 1)
        dy = sign(along[1], (c >> 1) & 1)
        dz = sign(along[2], c >> 2)
        weights[c] = dx * wy * wz + wx * (dy * wz + wy * dz)
    return weights


@wp.func
def blend(v00: float, v10: float, v01: float, v11: float, a: float, b: float):
    """Bilinear interpolation."""
    return wp.lerp(wp.lerp(v00, v10, a), wp.lerp(v01, v11, a), b)


@wp.func
def rises(v: vec8f, x: Axis, y: Axis, z: Axis):
    """How much the interpolated value of the corners rises across the cell along each axis."""
    return wp.vec3(
        blend(v[1] - v[0], v[3] - v[2], v[5] - v[4], v[7] - v[6], y.weight, z.weight),
        blend(v[2] - v[0], v[3] - v[1], v[6] - v[4], v[7] - v[5], x.weight, z.weight),
        blend(v[4] - v[0], v[5] - v[1], v[6] - v[2], v[7] - v[3], x.weight, y.weight),
    )


@wp.func
def gradient_of(v: vec8f, x: Axis, y: Axis, z: Axis, direction: wp.vec3):
    """Gradient of the interpolated value of the corners."""
    return wp.cw_mul(rises(v, x, y, z), wp.vec3(x.slope, y.slope, z.slope))


@wp.func
def hessian_along(v: vec8f, x: Axis, y: Axis, z: Axis, direction: wp.vec3):
    """Hessian of the interpolated value of the corners, times a direction."""
    rise = rises(v, x, y, z)
    xy = x.slope * y.slope * wp.lerp(v[3] - v[2] - v[1] + v[0], v[7] - v[6] - v[5] + v[4], z.weight)
    xz = x.slope * z.slope * wp.lerp(v[5] - v[4] - v[1] + v[0], v[7] - v[6] - v[3] + v[2], y.weight)
    yz = y.slope * z.slope * wp.lerp(v[6] - v[4] - v[2] + v[0], v[7] - v[5] - v[3] + v[1], x.weight)
    return wp.vec3(
        x.curvature * rise[0] * direction[0] + xy * direction[1] + xz * direction[2],
        xy * direction[0] + y.curvature * rise[1] * direction[1] + yz * direction[2],
        xz * direction[0] + yz * direction[1] + z.curvature * rise[2] * direction[2],
    )


class Kernels(NamedTuple):
    """The kernels for one number of features a level. Features are level by level: feature f of level l of sample i is at
    ``(l F + f) n_samples + i``. An item of a launch is a run of samples, in the first four of one level.
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


@lru_cache
def kernels_for(n_features: int) -> Kernels:
    """Kernels that load and add all features of an entry at once."""
    return Kernels(
        encode=_gather(n_features, plain_weights),
        encode_along=_gather(n_features, slope_weights),
        scatter=_scatter(n_features, plain_weights),
        scatter_along=_scatter(n_features, slope_weights),
        position_gradient=_to_positions(n_features, gradient_of),
        position_bend=_to_positions(n_features, hessian_along),
    )


def _gather(n_features: int, corner_weights: Any) -> Any:
    vec = wp.types.vector(length=n_features, dtype=wp.float32)

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
        features: wp.array[float],
    ):
        item = first_item + wp.tid()
        n_runs = (n_samples + run - 1) // run
        index = item // n_runs
        start = (item - index * n_runs) * run
        level = load_level(index, scales, resolutions, offsets)
        for i in range(start, wp.min(start + run, n_samples)):
            p = positions[i]
            x = locate(p[0], level.scale, smoothstep)
            y = locate(p[1], level.scale, smoothstep)
            z = locate(p[2], level.scale, smoothstep)
            entries = corner_entries(level, x.vertex, y.vertex, z.vertex)
            weights = corner_weights(x, y, z, directions[i])
            total = vec()
            for c in range(8):
                total = total + weights[c] * table[entries[c]]
            for f in range(n_features):
                features[(index * n_features + f) * n_samples + i] = total[f]

    return gather


def _scatter(n_features: int, corner_weights: Any) -> Any:
    vec = wp.types.vector(length=n_features, dtype=wp.float32)

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
        level = load_level(index, scales, resolutions, offsets)
        for i in range(start, wp.min(start + run, n_samples)):
            p = positions[i]
            x = locate(p[0], level.scale, smoothstep)
            y = locate(p[1], level.scale, smoothstep)
            z = locate(p[2], level.scale, smoothstep)
            entries = corner_entries(level, x.vertex, y.vertex, z.vertex)
            weights = corner_weights(x, y, z, directions[i])
            grad = vec()
            for f in range(n_features):
                grad[f] = grad_features[(index * n_features + f) * n_samples + i]
            for c in range(8):
                wp.atomic_add(grad_table, entries[c], weights[c] * grad)

    return scatter


def _to_positions(n_features: int, derivative: Any) -> Any:
    vec = wp.types.vector(length=n_features, dtype=wp.float32)

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
        item = first_item + wp.tid()
        start = item * run
        for index in range(n_levels):
            level = load_level(index, scales, resolutions, offsets)
            for i in range(start, wp.min(start + run, n_samples)):
                p = positions[i]
                x = locate(p[0], level.scale, smoothstep)
                y = locate(p[1], level.scale, smoothstep)
                z = locate(p[2], level.scale, smoothstep)
                entries = corner_entries(level, x.vertex, y.vertex, z.vertex)
                grad = vec()
                for f in range(n_features):
                    grad[f] = grad_features[(index * n_features + f) * n_samples + i]
                values = vec8f()
                for c in range(8):
                    values[c] = wp.dot(table[entries[c]], grad)
                grad_positions[i] = grad_positions[i] + derivative(values, x, y, z, directions[i])

    return to_positions
