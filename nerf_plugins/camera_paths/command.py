"""`nerf-plugins camera-path`: from the config.yml of a run to a file."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.utils.rich_utils import CONSOLE
from rich.progress import track
from rich.table import Table

from nerf_plugins.camera_paths import shapes
from nerf_plugins.camera_paths.checks import check_options
from nerf_plugins.camera_paths.files import CameraPath, even_size, to_json, write_json
from nerf_plugins.camera_paths.layout import Layout, describe_layout, format_vector, nearest_axis, unit
from nerf_plugins.camera_paths.novelty import Novelty, spacing, view_novelty
from nerf_plugins.camera_paths.options import (
    AroundPointOptions,
    ConeOptions,
    DollyOptions,
    InterpolateOptions,
    OrbitOptions,
    PathOptions,
    SpiralOptions,
)
from nerf_plugins.camera_paths.point_of_interest import axes_meet, densest_point, surface_points
from nerf_plugins.camera_paths.training_views import Views, data_folder, read_views
from nerf_plugins.data.names import find_images
from nerf_plugins.errors import InputError
from nerf_plugins.files.writing import check_free
from nerf_plugins.runs.loading import load_pipeline, read_config, require_checkpoint

Array = npt.NDArray[np.floating]

LOWEST, HIGHEST = 15.0, 40.0
"""Degrees that an orbit's elevation is kept between."""


def run(options: PathOptions) -> int:
    """Makes the path, and prints the file's; returns the exit code 0."""
    warnings.filterwarnings("ignore", "Using a non-tuple sequence")  # nerfstudio's cameras, at every call
    print(write_camera_path(options))
    return 0


def write_camera_path(options: PathOptions) -> Path:
    """Makes a path, prints how new its views are, and writes it.

    Returns:
        The file, as `files` describes it.

    Raises:
        InputError: an option or the run; nothing has been written then.
    """
    check_options(options)
    config = read_config(options.load_config)
    output = options.output_path or options.load_config.parent / "camera_paths" / f"{options.shape}.json"
    check_free(output, "--output-path")
    if isinstance(options, AroundPointOptions) and options.point == "surface":
        require_checkpoint(config)
    training = read_views(config, "train")
    path = make_camera_path(options, config, training)
    novelty = view_novelty(path.poses, training.poses, options.nearest)
    write_json(to_json(path, novelty, training.names), output)
    _report(path, novelty, training)
    in_viewer = data_folder(config) / "camera_paths"
    if output.parent.resolve() != in_viewer.resolve():
        CONSOLE.print(f"For the viewer's Load Path, copy it to {in_viewer}.", soft_wrap=True)
    return output


def make_camera_path(options: PathOptions, config: TrainerConfig, training: Views) -> CameraPath:
    """The path that the options ask for.

    Args:
        options: checked.
        config: of the run.
        training: its training views.

    Raises:
        InputError: the views do not allow it.
    """
    if isinstance(options, InterpolateOptions):
        poses, fovs, closed = _interpolation(options, config, training)
    else:
        assert isinstance(options, AroundPointOptions)
        poses, closed = _around_point(options, training)
        fovs = np.full(len(poses), options.fov or np.median(training.fovs))
    native_width, native_height = training.size
    height = options.height or native_height
    width, height = even_size(options.width or height * native_width / native_height, height)
    return CameraPath(poses, fovs, width, height, options.fps, closed)


def _interpolation(options: InterpolateOptions, config: TrainerConfig, training: Views) -> tuple[Array, Array, bool]:
    views = training if options.split == "train" else read_views(config, options.split)
    what = f"--images of the split {options.split}"
    chosen = list(range(len(views.paths))) if options.images is None else find_images(options.images, views.paths, what)
    if len(chosen) < 2:
        raise InputError(f"interpolate: {len(chosen)} image to go through: two or more are needed")
    if options.order == "nearest":
        chosen = [chosen[i] for i in shapes.order_by_nearest(views.poses[chosen, :3, 3])]
    fovs = np.full(len(views.paths), options.fov) if options.fov else views.fovs
    poses, fovs = shapes.interpolate(views.poses[chosen], fovs[chosen], options.steps, options.closed)
    return poses, fovs, options.closed


def _around_point(options: AroundPointOptions, training: Views) -> tuple[Array, bool]:
    point = _point_of_interest(options, training)
    up = nearest_axis(training.poses[:, :3, 1].mean(axis=0)) if options.up is None else unit(np.asarray(options.up))
    layout = describe_layout(training.poses, point, up)
    CONSOLE.print(f"Looking at {format_vector(point)}; the training cameras are {layout.distance:.3g} away (median).")
    if isinstance(options, OrbitOptions):
        return _orbit(options, layout), shapes.is_closed(options.arc)
    if isinstance(options, SpiralOptions):
        return _spiral(options, layout), False
    if isinstance(options, ConeOptions):
        return _cone(options, layout), False
    assert isinstance(options, DollyOptions)
    return _dolly(options, layout, training), False


def _point_of_interest(options: AroundPointOptions, training: Views) -> Array:
    if options.point == "axes":
        return axes_meet(training.poses)
    if options.point == "surface":
        _, pipeline = load_pipeline(options.load_config, "inference")
        return densest_point(surface_points(pipeline.model, training.cameras.to(pipeline.device), _progress_bar))
    return np.asarray(options.point, dtype=np.float64)


def _orbit(options: OrbitOptions, layout: Layout) -> Array:
    elevation = options.elevation
    if elevation is None:
        elevation = float(np.clip(layout.elevation, LOWEST, HIGHEST))
    distance = options.distance or layout.distance
    return shapes.orbit(layout, options.frames, distance, elevation, options.start, options.arc)


def _spiral(options: SpiralOptions, layout: Layout) -> Array:
    axis = layout.axis if options.axis is None else unit(np.asarray(options.axis))
    angles = options.angles or (0.0, _spread(layout))
    distances = options.distances or (layout.distance, layout.distance)
    return shapes.spiral(layout, options.frames, axis, options.turns, angles, distances)


def _cone(options: ConeOptions, layout: Layout) -> Array:
    axis = layout.axis if options.axis is None else unit(np.asarray(options.axis))
    given = options.angles or options.radii
    distances = options.distances or (layout.distance,)
    n = max(len(given), len(distances)) if given else len(distances) if len(distances) > 1 else 3
    distances = _one_each(distances, n)
    if options.radii:
        angles = [_angle_of_radius(r, d) for r, d in zip(_one_each(options.radii, n), distances)]
    else:
        angles = _one_each(options.angles or [_spread(layout) * (i + 1) / n for i in range(n)], n)
    if options.frames < n:
        raise InputError(f"frames {options.frames}: give at least one for each of the {n} circles")
    return shapes.cone(layout, options.frames, axis, angles, distances)


def _angle_of_radius(radius: float, distance: float) -> float:
    if radius > distance:
        raise InputError(f"cone: a radius of {radius:g} is larger than the distance {distance:.4g} from the point")
    return float(np.degrees(np.arcsin(radius / distance)))


def _one_each(values: Sequence[float], n: int) -> list[float]:
    return list(values) * n if len(values) == 1 else list(values)


def _spread(layout: Layout) -> float:
    if layout.spread < 1e-3:
        raise InputError("the training cameras all stand in one direction from the point: give --angles")
    return layout.spread


def _dolly(options: DollyOptions, layout: Layout, training: Views) -> Array:
    if options.direction is not None:
        direction, far = np.asarray(options.direction), layout.distance
    else:
        index = find_images([options.start_image], training.paths, "--start-image")[0]
        direction = training.poses[index, :3, 3] - layout.point
        far = float(np.linalg.norm(direction))
        if far < 1e-6 * layout.distance:
            raise InputError(
                f"dolly: the camera of {training.names[index]} stands at the point of interest; give another --start-image"
            )
    return shapes.dolly(layout, options.frames, direction, options.distances or (far, 0.5 * far))


def _report(path: CameraPath, novelty: Novelty, training: Views) -> None:
    """How new the views are."""
    n = len(path.poses)
    table = Table(title="Novelty: how far the views are from the training cameras")
    for column in ("", "distance to the nearest", "angle to the nearest in direction"):
        table.add_column(column, justify="right" if column else "left")
    for name, pick in (("least", np.min), ("median", np.median), ("largest", np.max)):
        table.add_row(name, f"{pick(novelty.distance):.3g}", f"{pick(novelty.least_angle):.1f}°")
    among = spacing(training.poses)
    if among is not None:
        table.add_row("training cameras among themselves, median", f"{among[0]:.3g}", f"{among[1]:.1f}°")
    CONSOLE.print(table)
    farthest, turned = int(novelty.distance.argmax()), int(novelty.least_angle.argmax())
    CONSOLE.print(
        f"Newest: view {farthest} by distance (nearest {training.names[novelty.nearest[farthest, 0]]}), view {turned} by angle.\n"
        f"{n} views of {path.width} x {path.height}, {n / path.fps:.3g} s.",
        soft_wrap=True,
    )


def _progress_bar(cameras: Sequence[Any]) -> Iterable[Any]:
    return track(cameras, "Looking at the surface", console=CONSOLE)
