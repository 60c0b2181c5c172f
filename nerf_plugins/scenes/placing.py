"""How shapes are put into a scene: between two points, turned, along an axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from nerf_plugins.scenes.materials import Material
from nerf_plugins.scenes.primitives import Capsule
from nerf_plugins.scenes.scene import Matrix, Placed, Vector


def rod(name: str, a: Vector, b: Vector, radius: float, material: Material) -> Placed:
    """A capsule whose axis runs from ``a`` to ``b``."""
    axis = np.subtract(b, a)
    length = float(np.linalg.norm(axis))
    return Placed(name, Capsule(0.5 * length, radius), material, halfway(a, b), along(axis))


def halfway(a: Vector, b: Vector) -> Vector:
    """The point between two."""
    return _vector(0.5 * np.add(a, b))


def turned(degrees: float) -> Matrix:
    """Rotation around the z axis."""
    c, s = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    return (c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)


def along(axis: Sequence[float] | Float[np.ndarray, "3"]) -> Matrix:
    """A rotation that takes z to the direction of ``axis``."""
    z = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    x = np.cross((0.0, 1.0, 0.0) if abs(z[1]) < 0.9 else (1.0, 0.0, 0.0), z)
    x /= np.linalg.norm(x)
    rows = np.stack([x, np.cross(z, x), z], axis=1)
    return _vector(rows[0]), _vector(rows[1]), _vector(rows[2])


def _vector(v) -> Vector:
    return float(v[0]), float(v[1]), float(v[2])
