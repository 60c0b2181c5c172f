"""Which points the training images' masks allow: the visual hull."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from nerfstudio.cameras.cameras import Cameras, CameraType

from nerf_plugins.data.dataset import CheckedDataset
from nerf_plugins.errors import InputError
from nerf_plugins.geometry.cameras import Camera, project

Array = npt.NDArray[np.floating]


def inside_masks(points: Array, dataset: CheckedDataset, max_outside: float, margin: int) -> npt.NDArray[np.bool_]:
    """Which points lie in the object's silhouettes.

    Args:
        points: `(n, 3)` in the scene's space.
        dataset: images with alpha channels; those without see the object everywhere.
        max_outside: the share of the views with the point in the image that may have it outside the mask.
        margin: pixels by which the masks, alpha >= 1/2, are widened.

    Returns:
        `(n,)`; a point that no view has in its image counts as inside.

    Raises:
        InputError: no image has an alpha channel, or a camera is no perspective one.
    """
    from scipy.ndimage import maximum_filter

    check_masks(dataset)
    views, outside = np.zeros(len(points)), np.zeros(len(points))
    for i in range(len(dataset)):
        alpha = dataset.get_alpha(i)
        if alpha is None:
            continue
        mask = maximum_filter(alpha >= 128, size=2 * margin + 1)
        column, row, in_image = project(points, to_camera(dataset.cameras[i]))
        views += in_image
        outside[in_image] += np.logical_not(mask[row[in_image], column[in_image]])
    return outside <= max_outside * views


def check_masks(dataset: CheckedDataset) -> None:
    """Refuses images without silhouettes, whose pixels are not read for it.

    Raises:
        InputError: no image has an alpha channel, or a camera is no perspective one.
    """
    if not dataset.shows_outlines:
        raise InputError(
            f"masks: no training image has an alpha channel, the first is {dataset.image_filenames[0]}: leave --masks out"
        )
    for i in range(len(dataset)):
        to_camera(dataset.cameras[i])


def to_camera(camera: Cameras) -> Camera:
    """One of nerfstudio's cameras.

    Raises:
        InputError: it is no perspective one.
    """
    if int(camera.camera_type) != CameraType.PERSPECTIVE.value:
        raise InputError(
            f"a camera of type {CameraType(int(camera.camera_type)).name}: masks and visibility need perspective ones: leave them out"
        )
    distortion = (0.0,) * 6 if camera.distortion_params is None else tuple(camera.distortion_params.tolist())
    return Camera(
        camera.camera_to_worlds.double().cpu().numpy(),
        float(camera.fx),
        float(camera.fy),
        float(camera.cx),
        float(camera.cy),
        int(camera.width),
        int(camera.height),
        distortion,
    )
