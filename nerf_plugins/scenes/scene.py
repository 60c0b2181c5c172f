"""A scene: shapes placed in the world, a sun, and what they mean for a point or a ray.

Symbols: ``p`` points, ``n`` unit normals, ``d`` unit ray directions, all ``(..., 3)`` in world units; ``index`` ``(...,)`` says
which object of ``Scene.objects`` a point belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from nerf_plugins.scenes.arrays import Indices, RayScalars, RayVectors, Scalars, Vectors
from nerf_plugins.scenes.materials import Color, Material
from nerf_plugins.scenes.primitives import Shape

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]

UPRIGHT: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
GAMMA = 2.2
"""Display values are linear light to the power ``1 / GAMMA``."""


@dataclass(frozen=True)
class Placed:
    """A shape in the world: a local point ``q`` is at ``p = R q + position``, with ``R`` the ``rotation``."""

    name: str
    shape: Shape
    material: Material
    position: Vector = (0.0, 0.0, 0.0)
    rotation: Matrix = UPRIGHT

    def to_local(self, p: Vectors) -> Vectors:
        """Points ``(..., 3)`` in the shape's frame, ``Rᵀ (p - position)``."""
        return (p - np.asarray(self.position)) @ np.asarray(self.rotation, np.float64)

    def sdf(self, p: Vectors) -> Scalars:
        """Exact signed distance ``(...,)``."""
        return self.shape.sdf(self.to_local(p))

    def normal(self, p: Vectors) -> Vectors:
        """Gradient of the distance ``(..., 3)``; on the surface the outward normal."""
        return self.shape.normal(self.to_local(p)) @ np.asarray(self.rotation).T

    def intersect(self, o: RayVectors, d: RayVectors) -> RayScalars:
        """Distance ``(N,)`` along the rays to the first hit, ``inf`` for a miss; origins and unit directions ``(N, 3)``."""
        return self.shape.intersect(self.to_local(o), d @ np.asarray(self.rotation))

    @property
    def bounds(self) -> Float[np.ndarray, "2 3"]:
        """The smallest axis-aligned box ``(2, 3)`` (min, max) that contains the shape."""
        r, center = np.asarray(self.rotation), np.asarray(self.position)
        return np.stack([center - self.shape.support(-r), center + self.shape.support(r)])


@dataclass(frozen=True)
class Light:
    """A sun and a sky, in linear light.

    Attributes:
        direction: towards the sun, of any length.
        sun: its intensity on a surface that faces it.
        sky, ground: ambient light on surfaces that face up and down; in between it is blended by ``n_z``.
        contact: height over a surface, in world units, up to which another surface takes its ambient light away.
    """

    direction: Vector = (0.45, -0.35, 0.82)
    sun: float = 0.85
    sky: Color = (0.36, 0.40, 0.46)
    ground: Color = (0.24, 0.22, 0.20)
    contact: float = 0.12

    @property
    def towards(self) -> Float[np.ndarray, "3"]:
        """Unit vector ``(3,)`` towards the sun."""
        return np.asarray(self.direction) / np.linalg.norm(self.direction)


class Hits(NamedTuple):
    """First hits of rays: distance ``t`` ``(N,)``, ``inf`` for a miss, and the object's ``index`` ``(N,)``, -1 for a miss."""

    t: RayScalars
    index: Int[np.ndarray, "n_rays"]


@dataclass(frozen=True)
class Scene:
    """The union of some objects, which may overlap, under one light."""

    objects: tuple[Placed, ...]
    light: Light = Light()

    @cached_property
    def bounds(self) -> Float[np.ndarray, "2 3"]:
        """The smallest axis-aligned box ``(2, 3)`` (min, max) around the scene."""
        boxes = np.stack([x.bounds for x in self.objects])
        return np.stack([boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)])

    def sdf(self, p: Vectors) -> Scalars:
        """Signed distance ``(...,)`` of the union, ``min_k sdf_k(p)``.

        Exact outside and on the surface. Inside, where objects overlap, it is a lower bound of the depth.
        """
        return np.minimum.reduce([x.sdf(p) for x in self.objects])

    def nearest(self, p: Vectors) -> Indices:
        """The object ``(...,)`` whose surface is nearest."""
        return np.abs(np.stack([x.sdf(p) for x in self.objects])).argmin(axis=0)

    def normals(self, p: Vectors, index: Indices | None = None) -> Vectors:
        """Outward unit normals ``(..., 3)`` at surface points; ``index`` saves the search for the object."""
        return self._by_object(p, index, lambda x, q: x.normal(q))

    def albedo(self, p: Vectors, index: Indices | None = None) -> Vectors:
        """Linear-light diffuse colour ``(..., 3)`` at surface points."""
        return self._by_object(p, index, lambda x, q: x.material.albedo(x.to_local(q)))

    def intersect(self, o: RayVectors, d: RayVectors) -> Hits:
        """First hits of the rays with origins ``o`` and unit directions ``d``, both ``(N, 3)``, at ``t > 0``."""
        t = np.full(len(d), np.inf)
        index = np.full(len(d), -1)
        for k, (x, rays) in enumerate(zip(self.objects, self._near(o, d), strict=True)):
            t_k = x.intersect(o[rays], d[rays])
            closer = t_k < t[rays]
            t[rays[closer]], index[rays[closer]] = t_k[closer], k
        return Hits(t, index)

    def radiance(self, p: Vectors, n: Vectors, d: Vectors, index: Indices | None = None) -> Vectors:
        """Display colour ``(..., 3)`` in [0, 1] of surface points ``p`` with normals ``n`` seen along the directions ``d``.

        With ``v`` 1 where the sun is seen and ``h`` the half vector of ``-d`` and the direction ``l`` towards the sun:

            linear  = albedo (ambient(n) openness(p, n) + v sun max(n·l, 0)) + v specular max(n·h, 0)^shininess
            display = clip(linear, 0, 1)^(1 / 2.2)
        """
        index = self.nearest(p) if index is None else index
        light, sun = self.light, self.light.towards
        lambert = np.maximum(np.einsum("...i,i->...", n, sun), 0.0) * self._sees_sun(p, n)
        ambient = np.asarray(light.ground) + (0.5 + 0.5 * n[..., 2:]) * np.subtract(light.sky, light.ground)
        linear = self.albedo(p, index) * (ambient * self._openness(p, n)[..., None] + light.sun * lambert[..., None])
        strength = np.asarray([x.material.specular for x in self.objects])[index]
        shininess = np.asarray([x.material.shininess for x in self.objects])[index]
        half = sun - d
        half = half / np.maximum(np.linalg.norm(half, axis=-1, keepdims=True), 1e-12)
        gloss = np.where(lambert > 0.0, strength * np.maximum((n * half).sum(-1), 0.0) ** shininess, 0.0)
        return np.clip(linear + gloss[..., None], 0.0, 1.0) ** (1.0 / GAMMA)

    def _near(self, o: RayVectors, d: RayVectors) -> Iterator[Int[np.ndarray, "n_near"]]:
        """For each object the rays that meet the ball of radius ``r`` around its position ``c``, give or take rounding.

        A ray's line passes ``c`` at the squared distance ``|o - c|² - b²``, ``b = (c - o)·d``, and not behind its origin if
        ``b > -r``. Written out by coordinate, as most of the time of a picture would go here.
        """
        o_x, o_y, o_z = np.ascontiguousarray(o.T)
        d_x, d_y, d_z = np.ascontiguousarray(d.T)
        o_o, o_d = o_x * o_x + o_y * o_y + o_z * o_z, o_x * d_x + o_y * d_y + o_z * d_z
        for x in self.objects:
            (c_x, c_y, c_z), r = x.position, x.shape.radius_of_bounds + 1e-6
            b = c_x * d_x + c_y * d_y + c_z * d_z - o_d
            outside = o_o - 2.0 * (c_x * o_x + c_y * o_y + c_z * o_z) + (c_x**2 + c_y**2 + c_z**2 - r * r)
            yield np.flatnonzero((outside < b * b) & (b > -r))

    def _by_object(
        self,
        p: Vectors,
        index: Indices | None,
        function: Callable[[Placed, Float[np.ndarray, "n 3"]], Float[np.ndarray, "n 3"]],
    ) -> Vectors:
        index = self.nearest(p) if index is None else index
        result = np.zeros(p.shape)
        for k, x in enumerate(self.objects):
            mine = index == k
            if mine.any():
                result[mine] = function(x, p[mine])
        return result

    def _sees_sun(self, p: Vectors, n: Vectors) -> Scalars:
        """1 where the way to the sun is free, else 0, ``(...,)``; only points that face it are asked."""
        sun = self.light.towards
        free = np.einsum("...i,i->...", n, sun) > 0.0
        o = p[free] + 1e-6 * n[free]  # off the surface, or rounding would let a point shade itself
        free[free] = np.isinf(self.intersect(o, np.broadcast_to(sun, o.shape)).t)
        return free.astype(np.float64)

    def _openness(self, p: Vectors, n: Vectors) -> Scalars:
        """Share ``(...,)`` of the ambient light: ``sdf(p + contact n) / contact`` in [0.25, 1]."""
        contact = self.light.contact
        return np.clip(self.sdf(p + contact * n) / contact, 0.25, 1.0)
