"""A made corner of a room, with texture everywhere: what photos and videos of tests show. Its cameras are known exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

SIZE = (320, 240)
FOCAL = 300.0
_TEXELS = 512


def _texture(seed: int) -> Array:
    """Noise of several scales, `(512, 512, 3)` in 0 to 255."""
    rng = np.random.default_rng(seed)
    total = np.zeros((_TEXELS, _TEXELS, 3))
    for cells in (8, 32, 128):
        coarse = rng.uniform(-1, 1, (cells, cells, 3))
        total += np.kron(coarse, np.ones((_TEXELS // cells, _TEXELS // cells, 1)))
    return 127 + 40 * total


TEXTURES = [_texture(seed) for seed in range(4)]


def look_at(position: Array, target: Array) -> Array:
    """Camera-to-world `(3, 4)`, x right, y down, z forward, z of the world up."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward, position], axis=1)


def arc(count: int, degrees: float = 70.0) -> Array:
    """Poses on an arc around the corner, rising and falling a little."""
    angles = np.radians(np.linspace(45 - degrees / 2, 45 + degrees / 2, count))
    heights = 1.5 + 0.4 * np.sin(4 * angles)
    positions = np.stack([4 * np.cos(angles), 4 * np.sin(angles), heights], axis=1)
    return np.stack([look_at(p, np.array([0.4, 0.4, 0.6])) for p in positions])


def picture(pose: Array, size: tuple[int, int] = SIZE, focal: float = FOCAL) -> NDArray[np.uint8]:
    """The corner's floor z = 0, walls x = -1 and y = -1, and a ball in it; a pinhole with its centre in the middle."""
    width, height = size
    x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    directions = np.stack([x / focal, y / focal, np.ones_like(x)], axis=-1) @ pose[:, :3].T
    origin, nearest = pose[:, 3], np.full((height, width), np.inf)
    result = np.zeros((height, width, 3))
    for axis, (offset, texture) in enumerate(zip((-1.0, -1.0, 0.0), TEXTURES)):
        t = (offset - origin[axis]) / directions[..., axis]
        points = origin + t[..., None] * directions
        others = [i for i in range(3) if i != axis]
        closer = (t > 0) & (t < nearest)
        result[closer] = _look_up(texture, points[closer][:, others] / 4.0)
        nearest[closer] = t[closer]
    centre, radius = np.array([0.3, 0.3, 0.6]), 0.6
    a, b = (directions**2).sum(-1), directions @ (origin - centre)
    inside = b**2 - a * (((origin - centre) ** 2).sum() - radius**2)
    t = np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)
    hit = (t > 0) & (t < nearest)
    normal = (origin + t[hit][:, None] * directions[hit] - centre) / radius
    result[hit] = _look_up(TEXTURES[3], np.stack([np.arctan2(normal[:, 1], normal[:, 0]), normal[:, 2]], axis=1) / 3)
    return result.clip(0, 255).astype(np.uint8)


def _look_up(texture: Array, uv: Array) -> Array:
    """Bilinear, repeated."""
    places = uv * _TEXELS - 0.5
    low = np.floor(places).astype(int)
    share = (places - low)[..., None]
    at = [[texture[(low[:, 1] + j) % _TEXELS, (low[:, 0] + i) % _TEXELS] for i in (0, 1)] for j in (0, 1)]
    above = at[0][0] * (1 - share[:, 0]) + at[0][1] * share[:, 0]
    below = at[1][0] * (1 - share[:, 0]) + at[1][1] * share[:, 0]
    return above * (1 - share[:, 1]) + below * share[:, 1]
