"""Pictures of a scene, and the exact depth and normals behind them.

Cameras are those of nerfstudio and Blender: x right, y up, looking along -z; `camera_to_world` is `(3, 4)` or `(4, 4)`
with a rotation `R` and the position `c`. A pixel in column `i` and row `j` (row 0 at the top) covers the square from
`(i, j)` to `(i + 1, j + 1)`, and the ray through the image point `(u, v)` is

    o = c,   d = normalize(R ((u - cx) / fx, -(v - cy) / fy, -1)).

Intrinsics are in pixels. All results are float64.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nerf_plugins.scenes.scene import Hits, Scene

Array = npt.NDArray[np.floating]
Number = float | int | np.floating

RAYS_PER_BLOCK = 1 << 14
"""Few enough that a block stays in the cache, and that numpy's BLAS does not split its small products over threads."""


def camera_rays(
    camera_to_world: Array,
    fx: Number,
    fy: Number,
    cx: Number,
    cy: Number,
    width: int,
    rows: range,
    supersample: int = 1,
) -> tuple[Array, Array]:
    """Rays through the centres of `supersample`² equal squares in each pixel of some rows.

    Returns:
        origins and unit directions, both `(len(rows) supersample width supersample, 3)`, in the order row, row within
        the pixel, column, column within the pixel.
    """
    u = (np.arange(width * supersample) + 0.5) / supersample
    v = (np.arange(rows.start * supersample, rows.stop * supersample) + 0.5) / supersample
    x, y = np.meshgrid((u - cx) / fx, -(v - cy) / fy)
    local = np.stack([x, y, -np.ones_like(x)], axis=-1).reshape(-1, 3)
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    directions = local @ np.asarray(camera_to_world)[:3, :3].T
    return np.broadcast_to(np.asarray(camera_to_world)[:3, 3], directions.shape), directions


def render(
    scene: Scene,
    camera_to_world: Array,
    fx: Number,
    fy: Number,
    cx: Number,
    cy: Number,
    width: int,
    height: int,
    supersample: int = 3,
) -> Array:
    """The picture `(height, width, 4)` in [0, 1]: straight RGBA, not premultiplied.

    Of a pixel's `supersample`² rays, alpha is the share that hits the scene and RGB the mean display colour of those,
    or 0 where none does. `alpha rgb + (1 - alpha) background` is thus the mean over all rays in front of that
    background.
    """
    total = np.zeros((height, width, 4))
    for rows, o, d, hits in _blocks(scene, camera_to_world, fx, fy, cx, cy, width, height, supersample):
        samples = np.zeros((len(d), 4))
        hit = np.flatnonzero(hits.index >= 0)
        p = o[hit] + hits.t[hit, None] * d[hit]
        n = scene.normals(p, hits.index[hit])
        samples[hit, :3] = scene.radiance(p, n, d[hit], hits.index[hit])
        samples[hit, 3] = 1.0
        total[rows.start : rows.stop] = samples.reshape(len(rows), supersample, width, supersample, 4).sum(axis=(1, 3))
    rgb = total[..., :3] / np.maximum(total[..., 3:], 1.0)
    return np.concatenate([rgb, total[..., 3:] / supersample**2], axis=-1)


def depth(
    scene: Scene, camera_to_world: Array, fx: Number, fy: Number, cx: Number, cy: Number, width: int, height: int
) -> Array:
    """Distance `(height, width)` along the unit ray through each pixel's centre; `inf` where it misses."""
    blocks = _blocks(scene, camera_to_world, fx, fy, cx, cy, width, height, 1)
    return np.concatenate([hits.t.reshape(len(rows), width) for rows, _, _, hits in blocks])


def normals(
    scene: Scene, camera_to_world: Array, fx: Number, fy: Number, cx: Number, cy: Number, width: int, height: int
) -> Array:
    """Outward unit normals `(height, width, 3)` in the world where the pixels' centre rays hit; 0 where they miss."""
    result = np.zeros((height, width, 3))
    for rows, o, d, hits in _blocks(scene, camera_to_world, fx, fy, cx, cy, width, height, 1):
        hit = (hits.index >= 0).reshape(len(rows), width)
        flat = hit.ravel()
        result[rows.start : rows.stop][hit] = scene.normals(o[flat] + hits.t[flat, None] * d[flat], hits.index[flat])
    return result


def _blocks(
    scene: Scene,
    camera_to_world: Array,
    fx: Number,
    fy: Number,
    cx: Number,
    cy: Number,
    width: int,
    height: int,
    supersample: int,
) -> Iterator[tuple[range, Array, Array, Hits]]:
    """Blocks of whole rows with their rays and first hits: (rows, origins, directions, hits)."""
    step = max(1, RAYS_PER_BLOCK // (width * supersample**2))
    for start in range(0, height, step):
        rows = range(start, min(start + step, height))
        o, d = camera_rays(camera_to_world, fx, fy, cx, cy, width, rows, supersample)
        yield rows, o, d, scene.intersect(o, d)
