"""The last adjustment of a reconstruction: its cameras' lenses, and its frame."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from nerf_plugins.captures.orientation import upright

OWN_CENTRE, OWN_POINTS = 10, 400
"""Images that a camera must have, and points that half of them must see, for its principal point and all its distortion to be freed."""
FREED = 6
"""Parameters that OPENCV with a free centre has more than SIMPLE_RADIAL with a fixed one."""
MOVED_CENTRE = 0.1
"""Share of the size that a principal point may move; more is no camera but a misfit."""
MAX_ERROR, MIN_ANGLE = 4.0, 1.5
"""COLMAP's own filter: pixels, degrees."""


def adjusted(model: Any) -> Any:
    """The model in its upright frame, after a last adjustment in which well-seen cameras are OPENCV's and their principal points free.

    Until then cameras are SIMPLE_RADIAL and their centres fixed: freed while poses are found, they took two photos of a capture of 50
    to wrong places. Free or not is decided by how much better it fits (:func:`is_worth`).
    """
    import pycolmap

    cameras = well_seen(model)
    if cameras:
        before = _adjust(model, cameras, centres=False)
        freed = pycolmap.Reconstruction(model)
        _to_opencv(freed, cameras)
        after = _adjust(freed, cameras, centres=True)
        fits = is_worth(before.final_cost, after.final_cost, before.num_residuals_reduced, FREED * len(cameras))
        if fits and not any(is_misfit(freed.camera(camera_id)) for camera_id in cameras):
            model = freed
        pycolmap.ObservationManager(model).filter_all_points3D(MAX_ERROR, MIN_ANGLE)
        model.update_point_3d_errors()
    to = upright(poses(model), np.array([p.xyz for p in model.points3D.values()]))
    model.transform(pycolmap.Sim3d(to.scale, pycolmap.Rotation3d(to.rotation), to.translation))
    return model


def is_worth(cost: float, freed_cost: float, residuals: int, parameters: int) -> bool:
    """By the Bayesian information criterion (Schwarz 1978): n ln(cost / freed_cost) > k ln n for n residuals and k more parameters."""
    return residuals * math.log(max(cost, 1e-12) / max(freed_cost, 1e-12)) > parameters * math.log(residuals)


def well_seen(model: Any) -> set[int]:
    """Cameras of `OWN_CENTRE` images or more, half of which see `OWN_POINTS` points or more."""
    seen: dict[int, list[int]] = {}
    for image_id in model.reg_image_ids():
        image = model.image(image_id)
        seen.setdefault(image.camera_id, []).append(image.num_points3D)
    return {key for key, counts in seen.items() if len(counts) >= OWN_CENTRE and np.median(counts) >= OWN_POINTS}


def _to_opencv(model: Any, camera_ids: set[int]) -> None:
    import pycolmap

    for camera_id in camera_ids:
        camera = model.camera(camera_id)
        f, x, y, k = camera.params
        camera.model, camera.params = pycolmap.CameraModelId.OPENCV, [f, f, x, y, k, 0.0, 0.0, 0.0]


def _adjust(model: Any, camera_ids: set[int], centres: bool) -> Any:
    """Adjusts everything, but the intrinsics of other cameras; returns the solver's summary."""
    import pycolmap

    config, options = pycolmap.BundleAdjustmentConfig(), pycolmap.BundleAdjustmentOptions()
    for image_id in model.reg_image_ids():
        config.add_image(image_id)
        if (other := model.image(image_id).camera_id) not in camera_ids:
            config.set_constant_cam_intrinsics(other)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    options.refine_principal_point, options.print_summary = centres, False
    summary: Any = pycolmap.create_default_bundle_adjuster(options, config, model).solve()
    return summary.ceres_summary


def is_misfit(camera: Any) -> bool:
    """No lens is like that: its centre went far off, or its parameters are out of COLMAP's own bounds."""
    x, y = camera.principal_point_x / camera.width - 0.5, camera.principal_point_y / camera.height - 0.5
    return camera.has_bogus_params(0.1, 10.0, 1.0) or max(abs(x), abs(y)) > MOVED_CENTRE


def poses(model: Any) -> Float[np.ndarray, "n 3 4"]:
    """Of the registered images, camera-to-world."""
    return np.stack([pose(model.image(i)) for i in model.reg_image_ids()])


def pose(image: Any) -> Float[np.ndarray, "3 4"]:
    """Camera-to-world, x right, y down, z forward."""
    return image.cam_from_world().inverse().matrix()
