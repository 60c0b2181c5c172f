"""Which faces of a mesh the training images see: behind them a model may have any surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool
from nerfstudio.cameras.cameras import Cameras

from nerf_plugins.errors import InputError
from nerf_plugins.export.masks import to_camera
from nerf_plugins.export.parts import with_neighbours
from nerf_plugins.geometry.cameras import Camera
from nerf_plugins.geometry.visibility import count_views
from nerf_plugins.wording import counted

if TYPE_CHECKING:
    from trimesh import Trimesh


def cameras_of(photos: Cameras, least: int) -> list[Camera]:
    """The cameras of a run's training photos, in the space that they are in.

    Raises:
        InputError: there are fewer than ``least``, or one is no perspective camera.
    """
    if least > len(photos):
        raise InputError(f"min_views {least}: the run has {counted(len(photos), 'training photo')}: give no more")
    return [to_camera(photos[i]) for i in range(len(photos))]


def seen_faces(mesh: Trimesh, cameras: list[Camera], least: int, margin: int) -> Bool[np.ndarray, "f"]:
    """Which faces at least ``least`` cameras see, and ``margin`` rings of faces around them.

    The rings close gaps where a surface is looked at along itself, and keep the border from being ragged.

    Args:
        mesh: all that may hide something, in the cameras' space; faces' corners anti-clockwise seen from outside.
        cameras: of the images.
        least: number of cameras, 1 or more.
        margin: number of rings.

    Raises:
        InputError: no face is seen by so many.
    """
    faces = np.asarray(mesh.faces)
    views = count_views(np.asarray(mesh.vertices), faces, cameras)
    most = int(views.max())
    if most < least:
        raise InputError(
            f"min_views {least}: no triangle is seen by so many of {counted(len(cameras), 'training photo')}; "
            f"the most that see one are {most}"
        )
    return with_neighbours(faces, views >= least, margin)
