"""``demo-data``: the demo scene, rendered at first use into a cache in Blender's format; nothing is downloaded."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataParserConfig, DataparserOutputs
from nerfstudio.data.dataparsers.blender_dataparser import BlenderDataParserConfig
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.plugins.registry_dataparser import DataParserSpecification
from nerfstudio.utils.colors import COLORS_DICT
from nerfstudio.utils.rich_utils import CONSOLE
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nerf_plugins.dataparsers import cache
from nerf_plugins.errors import InputError
from nerf_plugins.scenes import SCENES, Camera, Scene, render
from nerf_plugins.scenes.cameras import dome, held_out_places, pick_evenly
from nerf_plugins.scenes.moving import moving_scene, spread_times, still_points

VERSION = 1
"""Part of the cache's name: count it up whenever the pictures or the cameras change."""

TARGET = (0.0, 0.0, -0.1)
RADIUS = 3.3
"""Distance of the cameras from ``TARGET``; the scene then lies between 2 and 6, as Blender scenes are read."""
ELEVATION = (2.0, 80.0)
"""Lowest and highest camera, in degrees over the horizon."""
FIELD_OF_VIEW = 0.6911112070083618
"""Horizontal, in radians: that of the Blender scenes."""
SUPERSAMPLE = 2
"""Rays a pixel along each side: edges in quarters, in a time that a first run can wait for."""
SPLITS = ("train", "val", "test")
MOVING = "moving"
"""The scene whose pictures have times."""
N_STILL = 500
"""Points of the moving scene that do not move."""


def default_folder() -> Path:
    """``nerf-plugins/demo`` in the user's cache folder: ``$XDG_CACHE_HOME``, or else ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nerf-plugins" / "demo"


@dataclass
class DemoDataParserConfig(DataParserConfig):
    """The built-in scenes; need no data."""

    _target: type = field(default_factory=lambda: DemoDataParser, kw_only=True)
    """target class to instantiate"""
    data: Path = field(default_factory=default_folder)
    """Folder to keep the rendered pictures in: a subfolder for each set of options, made at first use."""
    scene: Literal["demo", "sphere", "torus", "wires", "moving"] = "demo"
    """demo: a still life. sphere, torus: one textured object, for measuring geometry. wires: thin things.
    moving: each picture is of a time of its own."""
    resolution: int = 200
    """Width and height of the pictures in pixels."""
    num_train: int = 100
    """Number of training views, evenly spread over a dome around the scene."""
    num_val: int = 5
    """Number of validation views, in gaps between the training views."""
    num_test: int = 10
    """Number of test views, in other gaps between the training views."""
    alpha_color: str | None = "white"
    """Background to put behind the pictures: white, black, red, green or blue. None keeps their alpha channel."""


@dataclass
class DemoDataParser(DataParser):
    """Renders the demo scene where it has not been yet, and reads it as a Blender scene."""

    config: DemoDataParserConfig

    def __init__(self, config: DemoDataParserConfig):
        super().__init__(config=config)
        _check(config)
        self.includes_time = config.scene == MOVING

    @property
    def folder(self) -> Path:
        """Where the pictures with these options are: ``transforms_{train,val,test}.json`` and a folder for each split."""
        c = self.config
        scene = "" if c.scene == "demo" else f"{c.scene}-"
        name = f"{scene}v{VERSION}-{c.resolution}px-train{c.num_train}-val{c.num_val}-test{c.num_test}"
        return c.data.expanduser() / name

    def _generate_dataparser_outputs(self, split: str = "train", **kwargs: Any) -> DataparserOutputs:
        if split not in SPLITS:
            raise InputError(f"split {split!r}: the demo has {', '.join(SPLITS)}; choose one of them")
        self._render_once()
        parser = BlenderDataParserConfig(data=self.folder, alpha_color=self.config.alpha_color).setup()
        outputs = parser.get_dataparser_outputs(split)
        outputs.scene_box = SceneBox(aabb=torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))
        if self.includes_time:
            meta = json.loads((self.folder / f"transforms_{split}.json").read_text(encoding="utf-8"))
            outputs.cameras.times = torch.tensor([[frame["time"]] for frame in meta["frames"]])
            outputs.metadata["background_points"] = torch.from_numpy(still_points(N_STILL)).float()
        return outputs

    def _render_once(self) -> None:
        try:
            cache.ensure(self.folder, lambda folder: render_dataset(folder, self.config))
        except OSError as e:
            reason = e.strerror or str(e)
            raise InputError(
                f"data {self.config.data}: cannot keep the demo's pictures there ({reason}); give another folder"
            ) from e


specification = DataParserSpecification(
    config=DemoDataParserConfig(), description="A small analytic scene, rendered on first use; needs no --data."
)


def split_cameras(config: DemoDataParserConfig) -> dict[str, Float[np.ndarray, "n_views 4 4"]]:
    """Camera-to-world matrices of each split; those of train do not depend on the other two."""
    held_out = held_out_places(config.num_train, config.num_val + config.num_test)
    is_val = pick_evenly(len(held_out), config.num_val)
    places = {"train": np.arange(config.num_train, dtype=float), "val": held_out[is_val], "test": held_out[~is_val]}
    return {k: dome(s, config.num_train, np.asarray(TARGET), RADIUS, ELEVATION) for k, s in places.items()}


def render_dataset(folder: Path, config: DemoDataParserConfig) -> None:
    """Write all pictures (PNG, straight RGBA) and the ``transforms_{split}.json`` of a Blender scene into a folder."""
    jobs: list[tuple[Path, Scene, Float[np.ndarray, "4 4"]]] = []
    for split, poses in split_cameras(config).items():
        (folder / split).mkdir()
        frames = []
        times = spread_times(len(poses), held_out=split != "train") if config.scene == MOVING else [None] * len(poses)
        for k, (pose, time) in enumerate(zip(poses, times)):
            frame = {"file_path": f"./{split}/r_{k}", "transform_matrix": pose.tolist()}
            frames.append(frame if time is None else frame | {"time": float(time)})
            scene = SCENES[config.scene]() if time is None else moving_scene(float(time))
            jobs.append((folder / split / f"r_{k}.png", scene, pose))
        meta = {"camera_angle_x": FIELD_OF_VIEW, "frames": frames}
        (folder / f"transforms_{split}.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
    _render_all(jobs, config.resolution)


def _render_all(jobs: list[tuple[Path, Scene, Float[np.ndarray, "4 4"]]], resolution: int) -> None:
    """Render on all cores, with a progress bar; an interrupt drops the pictures that have not begun."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=CONSOLE) as progress, ThreadPoolExecutor(_cores()) as pool:
        task = progress.add_task("Rendering the scene (once)", total=len(jobs))
        try:
            for done in as_completed([pool.submit(_render_one, *job, resolution) for job in jobs]):
                done.result()
                progress.advance(task)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _render_one(path: Path, scene: Scene, pose: Float[np.ndarray, "4 4"], resolution: int) -> None:
    focal = 0.5 * resolution / np.tan(0.5 * FIELD_OF_VIEW)
    image = render(scene, Camera.centred(pose, focal, resolution, resolution), SUPERSAMPLE)
    Image.fromarray(np.round(255.0 * image).astype(np.uint8), mode="RGBA").save(path)


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check(config: DemoDataParserConfig) -> None:
    """Refuse options that no pictures can be made from."""
    if not 8 <= config.resolution <= 4096:
        raise InputError(f"resolution {config.resolution}: give a number of pixels from 8 to 4096")
    for name in ("num_train", "num_val", "num_test"):
        if getattr(config, name) < 1:
            raise InputError(f"{name} {getattr(config, name)}: give 1 view or more")
    color = config.alpha_color
    if color is not None and color.lower() not in COLORS_DICT:
        raise InputError(f"alpha_color {color!r}: give one of {', '.join(COLORS_DICT)}, or None to keep alpha")
