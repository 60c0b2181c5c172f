"""Writes a camera path for `ns-render camera-path`: once around the scene of a trained run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tyro
import yaml
from nerfstudio.cameras.cameras import Cameras

from nerf_plugins.scenes.cameras import look_at

ELEVATIONS = (15.0, 40.0)
"""The orbit's height over the horizon is the median of the cameras', kept between these degrees."""


def main(load_config: Path, output_path: Path, frames: int = 48, fps: int = 24, resolution: int = 200) -> None:
    """Write the orbit of a run.

    Args:
        load_config: The config.yml of the run.
        output_path: The JSON to write.
        frames: Number of pictures of the video.
        fps: Pictures a second.
        resolution: Height of the pictures; the width follows from the cameras of the run.
    """
    cameras = training_cameras(load_config)
    output_path.write_text(json.dumps(camera_path(cameras, frames, fps, resolution), indent=1), encoding="utf-8")
    print(f"wrote {output_path}: {frames} cameras")


def training_cameras(load_config: Path) -> Cameras:
    """The cameras that a run was trained on, in the space of its model."""
    manager = yaml.load(load_config.read_text(), Loader=yaml.Loader).pipeline.datamanager
    if manager.data is not None:
        manager.dataparser.data = manager.data
    return manager.dataparser.setup().get_dataparser_outputs(split="train").cameras


def camera_path(cameras: Cameras, frames: int, fps: int, resolution: int) -> dict[str, Any]:
    """An orbit in the format of nerfstudio's viewer."""
    width, height = int(cameras.width[0]), int(cameras.height[0])
    fov = float(np.degrees(2.0 * np.arctan(0.5 * height / float(cameras.fy[0]))))  # vertical, as three.js has it
    # H.264 takes even sizes only.
    render_width, render_height = (2 * round(0.5 * x) for x in (resolution * width / height, resolution))
    aspect = render_width / render_height
    poses = orbit(cameras.camera_to_worlds.double().numpy(), frames)
    return {
        "camera_type": "perspective",
        "render_width": render_width,
        "render_height": render_height,
        "fps": fps,
        "seconds": frames / fps,
        "is_cycle": True,
        "camera_path": [{"camera_to_world": pose.ravel().tolist(), "fov": fov, "aspect": aspect} for pose in poses],
    }


def orbit(poses: npt.NDArray[np.floating], frames: int) -> npt.NDArray[np.floating]:
    """Camera-to-world matrices `(frames, 4, 4)` on a horizontal circle around what `poses` `(n, 3, 4)` look at.

    The circle is as far away as those cameras are, and about as high.
    """
    positions, views = poses[:, :, 3], -poses[:, :, 2]
    # The point nearest to all optical axes: each measures the distance across itself.
    across = np.eye(3) - views[:, :, None] * views[:, None, :]
    target = np.linalg.lstsq(across.sum(axis=0), (across @ positions[:, :, None]).sum(axis=0)[:, 0], rcond=None)[0]
    offsets = positions - target
    distances = np.linalg.norm(offsets, axis=1)
    elevations = np.degrees(np.arcsin(offsets[:, 2] / distances))
    radius, elevation = np.median(distances), np.radians(np.clip(np.median(elevations), *ELEVATIONS))
    turns = 2.0 * np.pi * np.arange(frames) / frames
    circle = np.stack([np.cos(turns), np.sin(turns), np.full(frames, np.tan(elevation))], axis=1) * np.cos(elevation)
    return np.stack([look_at(target + radius * place, target) for place in circle])


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
