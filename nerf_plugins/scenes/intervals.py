"""Where a ray ``o + t d`` is inside a convex solid: one interval ``(t_in, t_out)``.

Origins and unit directions are ``(N, 3)``, both ends ``(N,)``; a ray that misses has the empty interval ``(inf, -inf)``.
Solids are intersected and joined by the functions at the end.
"""

from __future__ import annotations

import numpy as np

from nerf_plugins.scenes.arrays import RayScalars, RayVectors

Interval = tuple[RayScalars, RayScalars]


def sphere(o: RayVectors, d: RayVectors, radius: float) -> Interval:
    """Inside the ball of ``radius`` around the origin: ``|o + t d|² <= radius²``."""
    b = np.einsum("ij,ij->i", o, d)
    c = np.einsum("ij,ij->i", o, o) - radius**2
    disc = b * b - c
    hit = disc > 0.0
    root = np.sqrt(np.where(hit, disc, 0.0))
    return np.where(hit, -b - root, np.inf), np.where(hit, -b + root, -np.inf)


def tube(o: RayVectors, d: RayVectors, radius: float) -> Interval:
    """Inside the endless cylinder ``x² + y² <= radius²``."""
    a = d[:, 0] ** 2 + d[:, 1] ** 2
    b = o[:, 0] * d[:, 0] + o[:, 1] * d[:, 1]
    c = o[:, 0] ** 2 + o[:, 1] ** 2 - radius**2
    return _quadratic_below_zero(a, b, c)


def nappe(o: RayVectors, d: RayVectors, slope: float, apex: float) -> Interval:
    """Inside the endless cone ``sqrt(x² + y²) <= slope |apex - z|``, of the nappe below the apex if the ray meets both.

    A ray that meets only the nappe above has its interval there: cut it with a slab below the apex.
    """
    down = apex - o[:, 2]
    a = d[:, 0] ** 2 + d[:, 1] ** 2 - (slope * d[:, 2]) ** 2
    b = o[:, 0] * d[:, 0] + o[:, 1] * d[:, 1] + slope**2 * down * d[:, 2]
    c = o[:, 0] ** 2 + o[:, 1] ** 2 - (slope * down) ** 2
    # Parallel to the flank: one root is at infinity, and this puts it beyond every slab that the cone is cut with.
    a = np.where(np.abs(a) < 1e-14, 1e-14, a)
    t_in, t_out = _quadratic_below_zero(a, b, c)
    # a < 0, steeper than the flank: inside one nappe before the first root and inside the other after the second. The
    # lower one is where the ray comes from if it rises, else where it goes.
    steep, rises = a < 0.0, d[:, 2] > 0.0
    before, after = steep & rises, steep & ~rises
    return (
        np.where(before, -np.inf, np.where(after, t_out, t_in)),
        np.where(before, t_in, np.where(after, np.inf, t_out)),
    )


def slab(o: RayScalars, d: RayScalars, low: float, high: float) -> Interval:
    """Where the coordinate ``o + t d`` ``(N,)`` lies within ``[low, high]``."""
    parallel = np.abs(d) < 1e-30
    inverse = 1.0 / np.where(parallel, 1.0, d)
    a, b = (low - o) * inverse, (high - o) * inverse
    inside = (o >= low) & (o <= high)
    t_in = np.where(parallel, np.where(inside, -np.inf, np.inf), np.minimum(a, b))
    t_out = np.where(parallel, np.where(inside, np.inf, -np.inf), np.maximum(a, b))
    return t_in, t_out


def intersection(*parts: Interval) -> Interval:
    """Inside all of them."""
    t_in = np.maximum.reduce([p[0] for p in parts])
    t_out = np.minimum.reduce([p[1] for p in parts])
    miss = t_in > t_out
    return np.where(miss, np.inf, t_in), np.where(miss, -np.inf, t_out)


def hull(*parts: Interval) -> Interval:
    """From the first entry to the last exit: the union, where that is convex."""
    return np.minimum.reduce([p[0] for p in parts]), np.maximum.reduce([p[1] for p in parts])


def first_boundary(interval: Interval) -> RayScalars:
    """The first end of the interval with ``t > 0``: the entry, or the exit for an origin inside; else ``inf``."""
    t_in, t_out = interval
    return np.where(t_in > 0.0, t_in, np.where((t_out > 0.0) & np.isfinite(t_out), t_out, np.inf))


def _quadratic_below_zero(a: RayScalars, b: RayScalars, c: RayScalars) -> Interval:
    """The roots ``t_1 <= t_2`` of ``a t² + 2 b t + c``, in the form without cancellation.

    ``q = -(b + sign(b) sqrt(b² - a c))``, ``t = q / a`` and ``c / q``. Without a root: everywhere if the value is below zero,
    else nowhere. A cone gives ``a < 0`` a root always; where rounding takes it away, both are ``-b / a``.
    """
    disc = b * b - a * c
    real = (disc > 0.0) & (a > 0.0) | (a < 0.0)
    q = -(b + np.where(b < 0.0, -1.0, 1.0) * np.sqrt(np.maximum(disc, 0.0)))
    t_1, t_2 = q / np.where(real, a, 1.0), c / np.where(q == 0.0, 1.0, q)
    t_1, t_2 = np.minimum(t_1, t_2), np.maximum(t_1, t_2)
    everywhere = ~real & (c < 0.0)
    t_1 = np.where(real, t_1, np.where(everywhere, -np.inf, np.inf))
    t_2 = np.where(real, t_2, np.where(everywhere, np.inf, -np.inf))
    return t_1, t_2
