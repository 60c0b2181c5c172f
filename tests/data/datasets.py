"""Small datasets in nerfstudio's layout, as people have them: 48x36 pixels, a bright disc on a dark slope, cameras in a ring."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from nerfstudio.configs.dataparser_configs import all_dataparsers
from PIL import Image

from nerf_plugins.data.datamanager import NerfDataManager, NerfDataManagerConfig

W, H = 48, 36
Save = Callable[[int, np.ndarray, np.ndarray], Image.Image]


def picture(k: int) -> tuple[np.ndarray, np.ndarray]:
    """RGB (36, 48, 3), and where the disc is; the k-th is unlike all others."""
    y, x = np.mgrid[0:H, 0:W]
    disc = (x - 24 - 6 * math.cos(k)) ** 2 + (y - 18 - 4 * math.sin(k)) ** 2 < 100
    rgb = np.stack([40 + 3 * x, 30 + 4 * y, 90 + 3 * k + 0 * x], -1)
    rgb[disc] = (230, 180, 60)
    return rgb.astype(np.uint8), disc


def pose(k: int, n: int) -> np.ndarray:
    """Camera to world (4, 4), looking at the origin along -z from 3 away."""
    angle = 2 * math.pi * k / n
    back = np.array([math.cos(angle), math.sin(angle), 0.3]) / math.sqrt(1.09)
    right = np.array([-math.sin(angle), math.cos(angle), 0.0])
    matrix = np.eye(4)
    matrix[:3] = np.stack([right, np.cross(back, right), back, 3 * back], axis=1)
    return matrix


def as_rgb(k: int, rgb: np.ndarray, disc: np.ndarray) -> Image.Image:
    """Nothing odd."""
    return Image.fromarray(rgb)


def write_transforms(
    folder: Path, save: Save = as_rgb, n: int = 12, name: str = "images/{:03d}.png", **more: Any
) -> dict[str, Any]:
    """Images and transforms.json, whose content is returned."""
    frames = []
    for k in range(n):
        path = folder / name.format(k)
        path.parent.mkdir(parents=True, exist_ok=True)
        image = save(k, *picture(k))
        image.save(path, exif=image.getexif())
        frames.append({"file_path": name.format(k), "transform_matrix": pose(k, n).tolist()})
    meta = {
        "camera_model": "OPENCV",
        "w": W,
        "h": H,
        "fl_x": 50,
        "fl_y": 50,
        "cx": W / 2,
        "cy": H / 2,
        "frames": frames,
    }
    return rewrite(folder, meta | more)


def rewrite(folder: Path, meta: dict[str, Any]) -> dict[str, Any]:
    """transforms.json with another content."""
    (folder / "transforms.json").write_text(json.dumps(meta), encoding="utf-8")
    return meta


def write_masks(folder: Path, meta: dict[str, Any], make: Callable[[np.ndarray], Image.Image | None]) -> None:
    """A mask for each frame for which one is made."""
    (folder / "masks").mkdir()
    for k, frame in enumerate(meta["frames"]):
        mask = make(picture(k)[1])
        if mask is not None:
            frame["mask_path"] = f"masks/{k:03d}.png"
            mask.save(folder / frame["mask_path"])
    rewrite(folder, meta)


def load(data: Path, dataparser: str = "nerfstudio-data", test_mode: Any = "val", **options: Any) -> NerfDataManager:
    """What reads the data in training ("val") or evaluation ("test")."""
    config = type(all_dataparsers[dataparser])(data=data, **options)
    manager = NerfDataManager(NerfDataManagerConfig(dataparser=config), test_mode=test_mode)
    manager.setup_train()
    manager.setup_eval()
    return manager


def step(manager: NerfDataManager, n_rays: int = 6001) -> dict[str, Any]:
    """A batch of training, after one of evaluation."""
    manager.next_eval(0)
    manager.next_eval_image(0)
    assert manager.train_pixel_sampler is not None
    manager.train_pixel_sampler.set_num_rays_per_batch(n_rays)
    return manager.next_train(0)[1]
