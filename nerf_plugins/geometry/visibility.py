"""What cameras can know of a scene or a mesh: a surface that none of them sees cannot be learnt from their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from nerf_plugins.geometry.cameras import NEAREST, place, project
from nerf_plugins.geometry.raster import rasterize
from nerf_plugins.scenes import Camera, Scene

DEPTH_PICTURE = 512
"""Pixels along the longer side of the pictures by which a mesh's visibility is told."""
_STEEPEST = 2.0
"""Within half a pixel's width a surface is taken to fall away by no more than this many widths."""


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


def sees_mesh(
    points: Float[np.ndarray, "n 3"],
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    cameras: Sequence[Camera],
    tolerance: float,
) -> Bool[np.ndarray, "n"]:
    """As :func:`is_observed`, with a mesh in the place of the scene, which is drawn as a depth picture for each camera.

    A point may lie behind what is drawn by ``tolerance`` and two pixels' widths, since a picture knows a slope no better.
    """
    seen = np.zeros(len(points), dtype=bool)
    for camera in map(_for_depth, cameras):
        seen[_in_sight(points, np.flatnonzero(~seen), vertices, faces, camera, tolerance)] = True
    return seen


def count_views(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], cameras: Sequence[Camera]
) -> Int[np.ndarray, "f"]:
    """How many cameras see each face of a mesh: they look at its outer side, and have its middle in their image, before all other faces.

    The outer side is the one from which the corners go anti-clockwise. Depth is told as by :func:`sees_mesh`, without a further tolerance:
    what is hidden by no more than two pixels' widths counts as seen, and of what is looked at along itself only a part may.
    """
    corners = vertices[faces]
    middles = corners.mean(axis=1)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    views = np.zeros(len(faces), dtype=np.int64)
    for camera in map(_for_depth, cameras):
        facing = np.flatnonzero(((camera.pose[:, 3] - middles) * normals).sum(axis=1) > 0.0)
        views[_in_sight(middles, facing, vertices, faces, camera, 0.0)] += 1
    return views


def _in_sight(
    points: Float[np.ndarray, "n 3"],
    asked: Int[np.ndarray, "n_asked"],
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    camera: Camera,
    tolerance: float,
) -> Int[np.ndarray, "n_seen"]:
    """Those of the points that are asked for, by index, which are in a depth picture and not behind what is drawn in it."""
    pixels = project(points[asked], camera)
    inside = pixels.in_image
    asked = asked[inside]
    depth = place(points[asked], camera).depth
    drawn = depth_picture(vertices, faces, camera)[pixels.row[inside], pixels.column[inside]]
    return asked[depth <= drawn + tolerance + _STEEPEST * depth / min(camera.fx, camera.fy)]


def depth_picture(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], camera: Camera
) -> Float[np.ndarray, "height width"]:
    """Depth along the camera's axis of the nearest face at each pixel's centre, infinite where there is none.

    A lens moves the corners; the sides between stay straight. A face with a corner behind the camera is left out.
    """
    x, y, depth = place(vertices, camera)
    in_front = depth > NEAREST
    if not in_front.all():
        faces = faces[in_front[faces].all(axis=1)]
    inverse = np.zeros((camera.height, camera.width))
    for part in rasterize(np.stack([x, y], axis=-1)[faces], camera.height, camera.width):
        # 1 / depth is linear in the picture.
        nearer = (part.weights / depth[faces[part.face]]).sum(axis=1)
        np.maximum.at(inverse, (part.row, part.column), nearer)
    return np.where(inverse > 0.0, 1.0 / np.maximum(inverse, 1e-300), np.inf)


def _for_depth(camera: Camera) -> Camera:
    """The same view in a depth picture's pixels, whatever the photo's."""
    scale = DEPTH_PICTURE / max(camera.width, camera.height)
    width, height = max(1, round(scale * camera.width)), max(1, round(scale * camera.height))
    across, down = width / camera.width, height / camera.height
    return replace(
        camera,
        fx=across * camera.fx,
        cx=across * camera.cx,
        fy=down * camera.fy,
        cy=down * camera.cy,
        width=width,
        height=height,
    )
