"""``nerf-plugins camera-path``: from the config.yml of a run to a file."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.utils.rich_utils import CONSOLE
from rich.progress import track
from rich.table import Table

from nerf_plugins.camera_paths.files import CameraPath, even_size, to_json, write_json
from nerf_plugins.camera_paths.layout import describe_layout, format_vector, nearest_axis, unit
from nerf_plugins.camera_paths.novelty import Novelty, spacing, view_novelty
from nerf_plugins.camera_paths.point_of_interest import axes_meet, densest_point, surface_points
from nerf_plugins.camera_paths.poses import order_by_nearest, poses_around, poses_through
from nerf_plugins.camera_paths.shapes.base import AroundPointOptions, Layout, PathOptions, ThroughImagesOptions
from nerf_plugins.camera_paths.styles import styles_along
from nerf_plugins.camera_paths.training_views import Views, data_folder, read_views
from nerf_plugins.data.names import find_images
from nerf_plugins.errors import InputError
from nerf_plugins.files.writing import check_free
from nerf_plugins.runs.loading import config_file, load_pipeline, read_config, require_checkpoint
from nerf_plugins.wording import counted


def run(options: PathOptions) -> int:
    """Makes the path, and prints the file's; returns the exit code 0."""
    warnings.filterwarnings("ignore", "Using a non-tuple sequence")  # nerfstudio's cameras, at every call
    print(write_camera_path(options))
    return 0


def write_camera_path(options: PathOptions) -> Path:
    """Makes a path, prints how new its views are, and writes it.

    Returns:
        The file, as ``files`` describes it.

    Raises:
        InputError: an option or the run; nothing has been written then.
    """
    options.check()
    options = replace(options, load_config=config_file(options.load_config))
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
    if isinstance(options, ThroughImagesOptions):
        poses, fovs, closed = _through_images(options, config, training)
    else:
        assert isinstance(options, AroundPointOptions)
        layout = _layout(options, training)
        around = options.around(layout)
        poses, closed = poses_around(layout, around), around.is_closed
        fovs = np.full(len(poses), options.fov or np.median(training.fovs))
    native_width, native_height = training.size
    height = options.height or native_height
    width, height = even_size(options.width or height * native_width / native_height, height)
    styles = styles_along(options.style, len(poses), training.names)
    times = _times(options, training, len(poses))
    return CameraPath(poses, fovs, width, height, options.fps, closed, styles, times)


def _times(options: PathOptions, training: Views, n: int) -> Float[np.ndarray, "n"] | None:
    """The time of each view; None where the dataset has none."""
    if training.cameras.times is not None:
        return np.linspace(*(options.time or (0.0, 0.0)), n)
    if options.time is not None:
        start, end = options.time
        raise InputError(f"time {start:g} {end:g}: the run's dataset has no times: leave the option out")
    return None


def _through_images(
    options: ThroughImagesOptions, config: TrainerConfig, training: Views
) -> tuple[Float[np.ndarray, "n 4 4"], Float[np.ndarray, "n"], bool]:
    """Poses, fields of view, and whether the path is closed."""
    views = training if options.split == "train" else read_views(config, options.split)
    what = f"--images of the split {options.split}"
    chosen = list(range(len(views.paths))) if options.images is None else find_images(options.images, views.paths, what)
    if len(chosen) < 2:
        raise InputError(f"{options.shape}: {counted(len(chosen), 'image')} to go through: two or more are needed")
    if options.order == "nearest":
        chosen = [chosen[i] for i in order_by_nearest(views.poses[chosen, :3, 3])]
    fovs = np.full(len(views.paths), float(options.fov)) if options.fov else views.fovs
    times = options.times(len(chosen))
    return *poses_through(views.poses[chosen], fovs[chosen], times, options.closed), options.closed


def _layout(options: AroundPointOptions, training: Views) -> Layout:
    point = _point_of_interest(options, training)
    if options.up is None:
        up = nearest_axis(training.poses[:, :3, 1].mean(axis=0))
    else:
        up = unit(np.asarray(options.up, dtype=np.float64))
    layout = describe_layout(training.poses, point, up, training.paths)
    CONSOLE.print(f"Looking at {format_vector(point)}; the training cameras are {layout.distance:.3g} away (median).")
    return layout


def _point_of_interest(options: AroundPointOptions, training: Views) -> Float[np.ndarray, "3"]:
    if options.point == "axes":
        return axes_meet(training.poses)
    if options.point == "surface":
        _, pipeline = load_pipeline(options.load_config, "inference")
        return densest_point(surface_points(pipeline.model, training.cameras.to(pipeline.device), _progress_bar))
    return np.asarray(options.point, dtype=np.float64)


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
        f"{counted(n, 'view')} of {path.width} x {path.height}, {n / path.fps:.3g} s.",
        soft_wrap=True,
    )


def _progress_bar(cameras: Sequence[Any]) -> Iterable[Any]:
    return track(cameras, "Looking at the surface", console=CONSOLE)
