"""What cameras can know of an analytic scene: a surface that none of them sees cannot be learnt from their pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from nerf_plugins.geometry.cameras import project
from nerf_plugins.scenes import Camera, Scene


def is_observed(
    points: Float[np.ndarray, "n 3"], scene: Scene, cameras: Sequence[Camera], tolerance: float
) -> Bool[np.ndarray, "n"]:
    """Which points some camera has in its image, with nothing of the scene more than ``tolerance`` before them.

    So a point in free space is observed, one on a surface that is seen too, and one up to ``tolerance`` behind that; not what lies
    deeper or under the table. Asked of points of the truth it says what counts for completeness, of points of a mesh
    what counts for accuracy.
    """
    observed = np.zeros(len(points), dtype=bool)
    for camera in cameras:
        left = np.flatnonzero(~observed)
        left = left[project(points[left], camera).in_image]
        offset = points[left] - camera.pose[:, 3]
        distance = np.linalg.norm(offset, axis=1)
        origins = np.broadcast_to(camera.pose[:, 3], offset.shape)
        t = scene.intersect(origins, offset / np.maximum(distance, 1e-12)[:, None]).t
        observed[left[t > distance - tolerance]] = True
    return observed
