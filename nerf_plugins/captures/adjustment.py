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
NOISE = 0.5
"""Pixels, of a feature's place; the weight of what is further off falls as 1 / (1 + (error / NOISE)²) in the last adjustment."""


def adjusted(model: Any) -> Any:
    """The model in its upright frame, after a last adjustment in which well-seen cameras are OPENCV's and their principal points free.

    Its last pass is robust (:data:`NOISE`): points of edges that move with the camera, and matches of things that repeat, pull poses
    away from where the others agree. Until here cameras are SIMPLE_RADIAL and their centres fixed: freed while poses are found, they
    took two photos of a capture of 50 to wrong places. Free or not is decided by how much better it fits (:func:`is_worth`).
    """
    import pycolmap

    cameras = well_seen(model, OWN_POINTS)
    if cameras:
        model = _with_own_lenses(model, cameras)
    _adjust(model, cameras or well_seen(model, 0), robust=True)
    pycolmap.ObservationManager(model).filter_all_points3D(MAX_ERROR, MIN_ANGLE)
    model.update_point_3d_errors()
    to = upright(poses(model), np.array([p.xyz for p in model.points3D.values()]))
    model.transform(pycolmap.Sim3d(to.scale, pycolmap.Rotation3d(to.rotation), to.translation))
    return model


def _with_own_lenses(model: Any, cameras: set[int]) -> Any:
    """With OPENCV cameras and free centres where they fit better; adjusted either way."""
    import pycolmap

    before = _adjust(model, cameras)
    freed = pycolmap.Reconstruction(model)
    _to_opencv(freed, cameras)
    after = _adjust(freed, cameras)
    fits = is_worth(before.final_cost, after.final_cost, before.num_residuals_reduced, FREED * len(cameras))
    return freed if fits and not any(is_misfit(freed.camera(camera_id)) for camera_id in cameras) else model


def is_worth(cost: float, freed_cost: float, residuals: int, parameters: int) -> bool:
    """By the Bayesian information criterion (Schwarz 1978): n ln(cost / freed_cost) > k ln n for n residuals and k more parameters."""
    return residuals * math.log(max(cost, 1e-12) / max(freed_cost, 1e-12)) > parameters * math.log(residuals)


def well_seen(model: Any, points: int) -> set[int]:
    """Cameras of `OWN_CENTRE` images or more, half of which see so many points or more."""
    seen: dict[int, list[int]] = {}
    for image_id in model.reg_image_ids():
        image = model.image(image_id)
        seen.setdefault(image.camera_id, []).append(image.num_points3D)
    return {key for key, counts in seen.items() if len(counts) >= OWN_CENTRE and np.median(counts) >= points}


def _to_opencv(model: Any, camera_ids: set[int]) -> None:
    import pycolmap

    for camera_id in camera_ids:
        camera = model.camera(camera_id)
        f, x, y, k = camera.params
        camera.model, camera.params = pycolmap.CameraModelId.OPENCV, [f, f, x, y, k, 0.0, 0.0, 0.0]


def _adjust(model: Any, camera_ids: set[int], robust: bool = False) -> Any:
    """Adjusts everything, but the intrinsics of other cameras, and the centres of those that are not OPENCV's; the solver's summary."""
    import pycolmap

    config, options = pycolmap.BundleAdjustmentConfig(), pycolmap.BundleAdjustmentOptions()
    for image_id in model.reg_image_ids():
        config.add_image(image_id)
        if (other := model.image(image_id).camera_id) not in camera_ids:
            config.set_constant_cam_intrinsics(other)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    options.refine_principal_point = any(model.camera(i).model == pycolmap.CameraModelId.OPENCV for i in camera_ids)
    options.print_summary = False
    if robust:
        options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
        options.ceres.loss_function_scale = NOISE
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
