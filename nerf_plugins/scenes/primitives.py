"""The shapes a scene is made of: exact distance, ray hit, normal and extent.

A shape lives in its own frame, centred as its class says, with z as its axis of revolution where it has one. Symbols:

* ``p`` points ``(..., 3)``; ``rho = sqrt(x² + y²)`` their distance from the z axis; lengths in world units.
* ``sdf(p)`` ``(...,)``: signed Euclidean distance to the surface, negative inside, exact inside and outside.
* ``normal(p)`` ``(..., 3)``: the gradient of ``sdf``, of length 1; on the surface the outward normal.
* ``intersect(o, d)`` ``(N,)``: the smallest ``t > 0`` where the ray ``o + t d`` (``d`` of length 1) meets the surface, ``inf`` if
  none.
* ``support(n)`` ``(...,)``: ``max over the shape of p·n``, the extent in the directions ``n``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from nerf_plugins.scenes import intervals
from nerf_plugins.scenes.arrays import Mask, RayScalars, RayVectors, Scalars, Vectors

ON_SURFACE = 1e-9
"""Below this distance a point counts as on the surface, and its normal is that of the face it lies on."""


class Shape(ABC):
    """A closed solid in its own frame; the module docstring defines the methods."""

    @abstractmethod
    def sdf(self, p: Vectors) -> Scalars:
        """Exact signed distance ``(...,)`` of the points ``(..., 3)``."""

    @abstractmethod
    def normal(self, p: Vectors) -> Vectors:
        """Gradient of the distance ``(..., 3)``."""

    @abstractmethod
    def intersect(self, o: RayVectors, d: RayVectors) -> RayScalars:
        """Distance ``(N,)`` to the first hit of rays with origins and unit directions ``(N, 3)``; ``inf`` for a miss."""

    @abstractmethod
    def support(self, n: Vectors) -> Scalars:
        """Extent ``(...,)`` of the shape in the directions ``(..., 3)``."""

    @property
    @abstractmethod
    def radius_of_bounds(self) -> float:
        """Radius of a sphere around the frame's origin that contains the shape."""


@dataclass(frozen=True)
class Sphere(Shape):
    """A ball around the origin: ``sdf = |p| - radius``."""

    radius: float

    def sdf(self, p: Vectors) -> Scalars:
        """See ``Shape``."""
        return _length(p) - self.radius

    def normal(self, p: Vectors) -> Vectors:
        """See ``Shape``."""
        return _unit(p)

    def intersect(self, o: RayVectors, d: RayVectors) -> RayScalars:
        """See ``Shape``."""
        return intervals.first_boundary(intervals.sphere(o, d, self.radius))

    def support(self, n: Vectors) -> Scalars:
        """See ``Shape``."""
        return self.radius * _length(n)

    @property
    def radius_of_bounds(self) -> float:
        """See ``Shape``."""
        return self.radius


@dataclass(frozen=True)
class Box(Shape):
    """The cuboid ``|p_i| <= half_i`` around the origin.

    With ``q = |p| - half``: ``sdf = |max(q, 0)| + min(max_i q_i, 0)``.
    """

    half: tuple[float, float, float]

    def sdf(self, p: Vectors) -> Scalars:
        """See ``Shape``."""
        q = np.abs(p) - np.asarray(self.half)
        return _corner_distance(q)

    def normal(self, p: Vectors) -> Vectors:
        """See ``Shape``."""
        q = np.abs(p) - np.asarray(self.half)
        return _corner_gradient(q) * np.where(p < 0, -1.0, 1.0)

    def intersect(self, o: RayVectors, d: RayVectors) -> RayScalars:
        """See ``Shape``."""
        slabs = [intervals.slab(o[:, i], d[:, i], -h, h) for i, h in enumerate(self.half)]
        return intervals.first_boundary(intervals.intersection(*slabs))

    def support(self, n: Vectors) -> Scalars:
        """See ``Shape``."""
        return np.abs(n) @ np.asarray(self.half, np.float64)

    @property
    def radius_of_bounds(self) -> float:
        """See ``Shape``."""
        return float(np.linalg.norm(self.half))


@dataclass(frozen=True)
class Cylinder(Shape):
    """The solid cylinder ``rho <= radius``, ``|z| <= half_height``: a box in the plane of ``rho`` and ``z``."""

    radius: float
    half_height: float

    def _q(self, p: Vectors) -> Float[np.ndarray, "*batch 2"]:
        return np.stack([_rho(p) - self.radius, np.abs(p[..., 2]) - self.half_height], axis=-1)

    def sdf(self, p: Vectors) -> Scalars:
        """See ``Shape``."""
        return _corner_distance(self._q(p))

    def normal(self, p: Vectors) -> Vectors:
        """See ``Shape``."""
        g = _corner_gradient(self._q(p))
        return _revolve(p, g[..., 0], g[..., 1] * np.where(p[..., 2] < 0, -1.0, 1.0))

    def intersect(self, o: RayVectors, d: RayVectors) -> RayScalars:
        """See ``Shape``."""
        side = intervals.tube(o, d, self.radius)
        slab = intervals.slab(o[:, 2], d[:, 2], -self.half_height, self.half_height)
        return intervals.first_boundary(intervals.intersection(side, slab))

    def support(self, n: Vectors) -> Scalars:
        """See ``Shape``."""
        return self.radius * _rho(n) + self.half_height * np.abs(n[..., 2])

    @property
    def radius_of_bounds(self) -> float:
        """See ``Shape``."""
        return float(np.hypot(self.radius, self.half_height))


@dataclass(frozen=True)
class Capsule(Shape):
    """All points within ``radius`` of the segment from ``(0, 0, -half_length)`` to ``(0, 0, half_length)``."""

    half_length: float
    radius: float

    def _from_axis(self, p: Vectors) -> Vectors:
        """Offset ``(..., 3)`` from the nearest point of the segment."""
        z = p[..., 2]
        return np.stack([p[..., 0], p[..., 1], z - np.clip(z, -self.half_length, self.half_length)], axis=-1)

    def sdf(self, p: Vectors) -> Scalars:
        """See ``Shape``."""
        return _length(self._from_axis(p)) - self.radius

    def normal(self, p: Vectors) -> Vectors:
        """See ``Shape``."""
        return _unit(self._from_axis(p))

    def intersect(self, o: RayVectors, d: RayVectors) -> RayScalars:
        """See ``Shape``."""
        slab = intervals.slab(o[:, 2], d[:, 2], -self.half_length, self.half_length)
        body = intervals.intersection(intervals.tube(o, d, self.radius), slab)
        tip = np.array([0.0, 0.0, self.half_length])
        caps = (intervals.sphere(o - end, d, self.radius) for end in (tip, -tip))
        return intervals.first_boundary(intervals.hull(body, *caps))

    def support(self, n: Vectors) -> Scalars:
        """See ``Shape``."""
        return self.half_length * np.abs(n[..., 2]) + self.radius * _length(n)

    @property
    def radius_of_bounds(self) -> float:
        """See ``Shape``."""
        return self.half_length + self.radius


@dataclass(frozen=True)
class Cone(Shape):
    """The solid cone with its base disc of ``radius`` at ``z = 0`` and its apex at ``z = height``.

    In the plane of ``rho`` and ``z`` it is the triangle (0, 0), (radius, 0), (0, height); the distance is the one to the
    nearer of its two outer edges, negative inside.
    """

    radius: float
    height: float

    def _edges(self, p: Vectors) -> tuple[Float[np.ndarray, "*batch 2"], Float[np.ndarray, "*batch 2"], Mask]:
        """Offsets ``(..., 2)`` from the nearest point of the base and of the flank, and whether the point is inside."""
        rho, z = _rho(p), p[..., 2]
        base = np.stack([rho - np.clip(rho, 0.0, self.radius), z], axis=-1)
        along = (self.height * z - self.radius * (rho - self.radius)) / (self.radius**2 + self.height**2)
        along = np.clip(along, 0.0, 1.0)  # 0 at the rim, 1 at the apex
        flank = np.stack([rho - self.radius * (1.0 - along), z - self.height * along], axis=-1)
        inside = (z > 0.0) & (self.height * rho + self.radius * z < self.radius * self.height)
        return base, flank, inside

    def sdf(self, p: Vectors) -> Scalars:
        """See ``Shape``."""
        base, flank, inside = self._edges(p)
        distance = np.minimum(_length(base), _length(flank))
        return np.where(inside, -distance, distance)

    def normal(self, p: Vectors) -> Vectors:
        """See ``Shape``."""
        base, flank, inside = self._edges(p)
        on_base = _length(base) < _length(flank)
        offset = np.where(on_base[..., None], base, flank)
        distance = _length(offset)
        flank_normal = np.array([self.height, self.radius]) / np.hypot(self.height, self.radius)
        face = np.where(on_base[..., None], [0.0, -1.0], flank_normal)
        outward = offset * np.where(inside, -1.0, 1.0)[..., None] / np.maximum(distance, ON_SURFACE)[..., None]
        g = np.where(distance[..., None] > ON_SURFACE, outward, face)
        return _revolve(p, g[..., 0], g[..., 1])

    def intersect(self, o: RayVectors, d: RayVectors) -> RayScalars:
        """See ``Shape``."""
        flank = intervals.nappe(o, d, self.radius / self.height, self.height)
        slab = intervals.slab(o[:, 2], d[:, 2], 0.0, self.height)
        return intervals.first_boundary(intervals.intersection(flank, slab))

    def support(self, n: Vectors) -> Scalars:
        """See ``Shape``."""
        return np.maximum(self.radius * _rho(n), self.height * n[..., 2])

    @property
    def radius_of_bounds(self) -> float:
        """See ``Shape``."""
        return max(self.radius, self.height)


@dataclass(frozen=True)
class Torus(Shape):
    """All points within ``minor`` of the circle ``rho = major``, ``z = 0``: ``sdf = |(rho - major, z)| - minor``."""

    major: float
    minor: float

    def sdf(self, p: Vectors) -> Scalars:
        """See ``Shape``."""
        return np.hypot(_rho(p) - self.major, p[..., 2]) - self.minor

    def normal(self, p: Vectors) -> Vectors:
        """See ``Shape``."""
        g = _unit(np.stack([_rho(p) - self.major, p[..., 2]], axis=-1))
        return _revolve(p, g[..., 0], g[..., 1])

    def intersect(self, o: RayVectors, d: RayVectors) -> RayScalars:
        """See ``Shape``; by sphere tracing to ``|sdf| < 1e-9``.

        A step is ``|f|``, which can meet no surface, or the longer one that the curvature allows: with ``f > 0`` and ``f'``
        the distance and its slope along the ray and ``rho`` the distance from the axis, ``f'' >= -1 / rho`` everywhere,
        hence ``f'' >= -K = -2 / rho`` on the next ``rho / 2``, and ``f`` cannot reach 0 before the root ``s`` of
        ``f + f' s - K s² / 2``. On a grazing ray that is ``sqrt(2 f / K)`` instead of ``f``, and near a hit it is a Newton step.
        """
        ball = intervals.sphere(o, d, self.major + self.minor)
        start, stop = intervals.intersection(ball, intervals.slab(o[:, 2], d[:, 2], -self.minor, self.minor))
        result = np.full(len(o), np.inf)
        active = np.flatnonzero(stop > np.maximum(start, 0.0))
        t = np.maximum(start[active], 0.0)
        for _ in range(_MAX_STEPS):
            if active.size == 0:
                break
            f, slope, rho = self._along(o[active] + t[:, None] * d[active], d[active])
            hit = np.abs(f) < ON_SURFACE
            result[active[hit]] = t[hit]
            t = t + _safe_step(f, slope, rho)
            keep = ~hit & (t < stop[active])
            active, t = active[keep], t[keep]
        return result

    def _along(self, p: RayVectors, d: RayVectors) -> tuple[RayScalars, RayScalars, RayScalars]:
        """Distance, its slope in the directions ``d``, and ``rho``, each ``(N,)``."""
        rho = np.maximum(_rho(p), 1e-30)
        across, z = rho - self.major, p[:, 2]
        from_circle = np.maximum(np.hypot(across, z), 1e-30)
        d_rho = (p[:, 0] * d[:, 0] + p[:, 1] * d[:, 1]) / rho
        return from_circle - self.minor, (across * d_rho + z * d[:, 2]) / from_circle, rho

    def support(self, n: Vectors) -> Scalars:
        """See ``Shape``."""
        return self.major * _rho(n) + self.minor * _length(n)

    @property
    def radius_of_bounds(self) -> float:
        """See ``Shape``."""
        return self.major + self.minor


_MAX_STEPS = 1000
"""Far more than a ray needs: steps are Newton's near a hit. A bound all the same, so that rounding cannot keep a ray for ever."""


def _safe_step(f: RayScalars, slope: RayScalars, rho: RayScalars) -> RayScalars:
    """The longer of the two steps that ``Torus.intersect`` explains; from inside only the first."""
    k = 2.0 / rho
    curved = np.minimum((slope + np.sqrt(slope**2 + 2.0 * k * np.abs(f))) / k, 0.5 * rho)
    return np.where(f > 0.0, np.maximum(f, curved), np.abs(f))


def _rho(p: Vectors) -> Scalars:
    return np.hypot(p[..., 0], p[..., 1])


def _length(v: Float[np.ndarray, "*batch d"]) -> Scalars:
    """Euclidean norm over the last axis; ``einsum`` is several times faster there than a reduction."""
    return np.sqrt(np.einsum("...i,...i->...", v, v))


def _unit(v: Float[np.ndarray, "*batch d"]) -> Float[np.ndarray, "*batch d"]:
    return v / np.maximum(_length(v), 1e-30)[..., None]


def _revolve(p: Vectors, g_rho: Scalars, g_z: Scalars) -> Vectors:
    """The gradient ``(..., 3)`` of a function of ``rho`` and ``z`` from its two partial derivatives."""
    rho = _rho(p)
    on_axis = rho == 0.0  # no direction is outward there; take x
    rho = np.where(on_axis, 1.0, rho)
    return np.stack([g_rho * np.where(on_axis, 1.0, p[..., 0] / rho), g_rho * p[..., 1] / rho, g_z], axis=-1)


def _largest(q: Float[np.ndarray, "*batch d"]) -> Scalars:
    """Maximum over the last, short axis."""
    return np.maximum.reduce([q[..., i] for i in range(q.shape[-1])])


def _corner_distance(q: Float[np.ndarray, "*batch d"]) -> Scalars:
    """Distance to the corner region ``q_i <= 0`` of any dimension."""
    return _length(np.maximum(q, 0.0)) + np.minimum(_largest(q), 0.0)


def _corner_gradient(q: Float[np.ndarray, "*batch d"]) -> Float[np.ndarray, "*batch d"]:
    """Gradient of ``_corner_distance``; inside and on the surface that of the nearest face."""
    face = np.eye(q.shape[-1])[q.argmax(axis=-1)]
    outside = _largest(q)[..., None] > ON_SURFACE
    return np.where(outside, _unit(np.maximum(q, 0.0)), face)
