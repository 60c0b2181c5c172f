"""Pictures of a scene, and the exact depth and normals behind them.

A pixel in column ``i`` and row ``j`` (row 0 at the top) covers the square from ``(i, j)`` to ``(i + 1, j + 1)``, and the ray of a
camera with rotation ``R`` and position ``c`` through the image point ``(u, v)`` is

    o = c,   d = normalize(R ((u - cx) / fx, -(v - cy) / fy, -1)).

All results are float64.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from nerf_plugins.scenes.arrays import RayVectors
from nerf_plugins.scenes.cameras import Camera
from nerf_plugins.scenes.scene import Hits, Scene

RAYS_PER_BLOCK = 1 << 14
"""Few enough that a block stays in the cache, and that numpy's BLAS does not split its small products over threads."""


def camera_rays(camera: Camera, rows: range | None = None, supersample: int = 1) -> tuple[RayVectors, RayVectors]:
    """Rays through the centres of ``supersample``² equal squares in each pixel of some rows, or of all.

    Returns:
        origins and unit directions of ``len(rows) supersample width supersample`` rays, in the order row, row within the pixel, column,
        column within the pixel.

    Raises:
        ValueError: the camera has a lens that distorts, which is not inverted here.
    """
    if any(camera.distortion):
        raise ValueError(f"rays of a camera without distortion only, got {camera.distortion}")
    rows = range(camera.height) if rows is None else rows
    u = (np.arange(camera.width * supersample) + 0.5) / supersample
    v = (np.arange(rows.start * supersample, rows.stop * supersample) + 0.5) / supersample
    x, y = np.meshgrid((u - camera.cx) / camera.fx, -(v - camera.cy) / camera.fy)
    local = np.stack([x, y, -np.ones_like(x)], axis=-1).reshape(-1, 3)
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    directions = local @ camera.pose[:, :3].T
    return np.broadcast_to(camera.pose[:, 3], directions.shape), directions


def render(scene: Scene, camera: Camera, supersample: int = 3) -> Float[np.ndarray, "height width 4"]:
    """The picture in [0, 1]: straight RGBA, not premultiplied.

    Of a pixel's ``supersample``² rays, alpha is the share that hits the scene and RGB the mean display colour of those,
    or 0 where none does. ``alpha rgb + (1 - alpha) background`` is thus the mean over all rays in front of that
    background.
    """
    total = np.zeros((camera.height, camera.width, 4))
    for rows, o, d, hits in _blocks(scene, camera, supersample):
        samples = np.zeros((len(d), 4))
        hit = np.flatnonzero(hits.index >= 0)
        p = o[hit] + hits.t[hit, None] * d[hit]
        n = scene.normals(p, hits.index[hit])
        samples[hit, :3] = scene.radiance(p, n, d[hit], hits.index[hit])
        samples[hit, 3] = 1.0
        samples = samples.reshape(len(rows), supersample, camera.width, supersample, 4)
        total[rows.start : rows.stop] = samples.sum(axis=(1, 3))
    rgb = total[..., :3] / np.maximum(total[..., 3:], 1.0)
    return np.concatenate([rgb, total[..., 3:] / supersample**2], axis=-1)


def depth(scene: Scene, camera: Camera) -> Float[np.ndarray, "height width"]:
    """Distance along the unit ray through each pixel's centre; ``inf`` where it misses."""
    blocks = _blocks(scene, camera, 1)
    return np.concatenate([hits.t.reshape(len(rows), camera.width) for rows, _, _, hits in blocks])


def normals(scene: Scene, camera: Camera) -> Float[np.ndarray, "height width 3"]:
    """Outward unit normals in the world where the pixels' centre rays hit; 0 where they miss."""
    result = np.zeros((camera.height, camera.width, 3))
    for rows, o, d, hits in _blocks(scene, camera, 1):
        hit = (hits.index >= 0).reshape(len(rows), camera.width)
        flat = hit.ravel()
        result[rows.start : rows.stop][hit] = scene.normals(o[flat] + hits.t[flat, None] * d[flat], hits.index[flat])
    return result


def _blocks(scene: Scene, camera: Camera, supersample: int) -> Iterator[tuple[range, RayVectors, RayVectors, Hits]]:
    """Blocks of whole rows with their rays and first hits: (rows, origins, directions, hits)."""
    step = max(1, RAYS_PER_BLOCK // (camera.width * supersample**2))
    for start in range(0, camera.height, step):
        rows = range(start, min(start + step, camera.height))
        o, d = camera_rays(camera, rows, supersample)
        yield rows, o, d, scene.intersect(o, d)
