"""A small capture in Nerfies' layout."""

import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

from nerf_plugins.scenes.cameras import look_at

N = 6
CENTER, SCALE, FAR = [0.5, -1.0, 2.0], 0.25, 1.5
PLAIN = {
    "focal_length": 20.0,
    "principal_point": [8.5, 5.5],
    "skew": 0.0,
    "pixel_aspect_ratio": 1.25,
    "radial_distortion": [0.0, 0.0, 0.0],
    "tangential_distortion": [0.0, 0.0],
    "image_size": [16, 12],
}
POINTS = np.array([[0.5, -1.0, 2.0], [0.7, -0.8, 2.3], [0.1, -1.2, 1.9]])


def camera(i: int, side: float, **changes: object) -> dict:
    """The rows of its orientation are right, down and forward."""
    angle = 0.3 * i + side
    position = np.array([0.5 + 3 * math.cos(angle), -1.0 + 3 * math.sin(angle), 2.5])
    pose = look_at(position, np.array(CENTER))
    orientation = (pose[:3, :3] * [1.0, -1.0, -1.0]).T
    return PLAIN | {"orientation": orientation.tolist(), "position": position.tolist()} | changes


def write_json(path: Path, values: object) -> None:
    path.write_text(json.dumps(values))


def change(path: Path, **changes: object) -> None:
    """Of an object in a file; None takes a name out."""
    values = json.loads(path.read_text()) | changes
    write_json(path, {name: value for name, value in values.items() if value is not None})


def write_capture(folder: Path, **changes: object) -> Path:
    """Two cameras side by side, the right one of which validates; their photos at 1x and 2x."""
    for name in ("camera", "rgb/1x", "rgb/2x"):
        (folder / name).mkdir(parents=True)
    ids = {side: [f"{side}{i}" for i in range(N)] for side in ("left", "right")}
    metadata = {}
    for k, side in enumerate(ids):
        for i, name in enumerate(ids[side]):
            write_json(folder / "camera" / f"{name}.json", camera(i, 0.1 * k, **changes))
            metadata[name] = {"warp_id": i, "appearance_id": i, "camera_id": k, "time_id": 10 + 2 * i}
            for factor in (1, 2):
                photo = Image.new("RGB", (16 // factor, 12 // factor), (20 * i, 100 * k, 0))
                photo.save(folder / "rgb" / f"{factor}x" / f"{name}.png")
    everything = [name for pair in zip(ids["left"], ids["right"]) for name in pair]
    lists = {"count": 2 * N, "ids": everything, "train_ids": ids["left"], "val_ids": ids["right"]}
    write_json(folder / "dataset.json", lists)
    write_json(folder / "metadata.json", metadata | {"left99": {"warp_id": 99, "time_id": 999}})
    write_json(folder / "scene.json", {"scale": SCALE, "center": CENTER, "near": 0.1, "far": FAR})
    np.save(folder / "points.npy", POINTS)
    return folder


def project(camera: dict, point: np.ndarray) -> tuple[float, float]:
    """The pixel of a point, by the formulae of the authors' camera.py."""
    x, y, z = np.array(camera["orientation"]) @ (point - camera["position"])
    x, y = x / z, y / z
    r2 = x * x + y * y
    k1, k2, k3 = camera["radial_distortion"]
    p1, p2 = camera["tangential_distortion"]
    d = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = x * d + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * d + 2 * p2 * x * y + p1 * (r2 + 2 * y * y)
    f, (cx, cy) = camera["focal_length"], camera["principal_point"]
    return f * u + camera["skew"] * v + cx, f * camera["pixel_aspect_ratio"] * v + cy
