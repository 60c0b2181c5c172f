"""A made reconstruction, for what is done with one: no pycolmap is needed."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

from nerf_plugins.captures.job import Intrinsics, Matched, Posed, Reconstruction
from tests.captures.made_scene import arc

CAMERA = Intrinsics(320, 240, 300.0, 301.0, 158.0, 121.0, 0.01, -0.02, 0.001, 0.002)


def made(
    points_seen: dict[str, int],
    left_out: dict[str, Matched] | None = None,
    components: list[int] | None = None,
    agreeing: dict[str, float] | None = None,
) -> Reconstruction:
    """Images `name -> number of points seen` on an arc, photos that have no pose, and shares of matches that agree (else all)."""
    agreeing = agreeing or {}
    poses = arc(len(points_seen))
    posed = {
        name: Posed(pose.tolist(), 1, count, 0.5, agreeing.get(name, 1.0))
        for (name, count), pose in zip(points_seen.items(), poses)
    }
    matched = {name: Matched(1000, 5, (0,)) for name in posed} | (left_out or {})
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(-1, 1, (50, 3)), rng.integers(0, 256, (50, 3)), np.full((50, 2), 3.0)], axis=1)
    agreed = float(np.mean([image.agreeing for image in posed.values()]))
    views = sightings(poses, points[:, :3])
    return Reconstruction({1: CAMERA}, posed, matched, components or [len(posed)], 0.5, agreed, points, views)


def sightings(poses: Float[np.ndarray, "n 3 4"], points: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "k 4"]:
    """Image, point, and place in the image, of all points that the camera has in its picture."""
    matrix = np.array([[CAMERA.fx, 0, CAMERA.cx], [0, CAMERA.fy, CAMERA.cy], [0, 0, 1]])
    distortion = np.array([CAMERA.k1, CAMERA.k2, CAMERA.p1, CAMERA.p2])
    rows = []
    for k, pose in enumerate(poses):
        turn = pose[:, :3].T
        pixels, _ = cv2.projectPoints(
            np.ascontiguousarray(points), cv2.Rodrigues(turn)[0], -turn @ pose[:, 3], matrix, distortion
        )
        places = pixels[:, 0] / [CAMERA.width, CAMERA.height]
        rows += [(k, i, *place) for i, place in enumerate(places) if ((place >= 0) & (place < 1)).all()]
    return np.array(rows).reshape(-1, 4)
