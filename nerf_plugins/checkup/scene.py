"""The cameras' scene: where they stand, what they look at, how deep it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from nerfstudio.cameras.cameras import Cameras

from nerf_plugins.captures.job import Intrinsics
from nerf_plugins.captures.picture import View, draw_views
from nerf_plugins.checkup.pixels import NEIGHBOURS
from nerf_plugins.checkup.source import Posed
from nerf_plugins.console import Remark
from nerf_plugins.data.odd_cameras import angles_to, averted_cameras, far_cameras, focus
from nerf_plugins.wording import counted

_MEETS = 20.0
"""Degrees within which a camera looks at what all look at."""
_FAR_PERCENT = (1, 50, 99)


def scene_remarks(source: Posed, points: Float[np.ndarray, "m 6"]) -> list[Remark]:
    """The scene box, the cameras' distances, and the sparse points' depths, in the units that training has."""
    outputs = source.manager.train_dataparser_outputs
    poses = _poses(source)
    box = outputs.scene_box.aabb.double()
    distances = (poses[:, :, 3] - box.mean(dim=0)).norm(dim=1).tolist()
    sides = " x ".join(f"{side:.3g}" for side in (box[1] - box[0]).tolist())
    lines = [
        f"Scene box: {sides}; the cameras stand {min(distances):.2g} to {max(distances):.2g} from its middle; "
        f"one unit of the data is {outputs.dataparser_scale:.3g} of training's."
    ]
    depths = _depths(poses, points)
    if len(depths):
        near, usual, far = np.percentile(depths, _FAR_PERCENT)
        lines.append(
            f"Depth of the sparse points: 1 % nearer than {near:.2g}, half nearer than {usual:.2g}, 1 % beyond {far:.2g}."
        )
    return [Remark(line) for line in lines]


def looks_at_one_thing(source: Posed) -> bool:
    """Whether nine of ten cameras look at the same place."""
    poses = _poses(source)
    return float((angles_to(focus(poses), poses) < _MEETS).double().mean()) >= 0.9


def neighbours_by_pose(poses: Float[torch.Tensor, "n 3 4"]) -> Int[np.ndarray, "n k"]:
    """Of each camera the indices of those that stand near it and look the same way."""
    positions, views = poses[:, :, 3], poses[:, :, 2].contiguous()
    size = (positions - positions.median(dim=0).values).norm(dim=1).median().clamp(min=1e-9)
    apart = torch.cdist(positions, positions) / size + torch.cdist(views, views)
    apart.fill_diagonal_(-1.0)
    return apart.argsort(dim=1)[:, 1 : NEIGHBOURS + 1].numpy()


def _depths(poses: Float[torch.Tensor, "n 3 4"], points: Float[np.ndarray, "m 6"]) -> Float[np.ndarray, "k"]:
    """Of points before the cameras, along their axes; of some of the points and cameras. Whether they are seen is not known."""
    places = torch.from_numpy(points[:: max(len(points) // 2000, 1), :3])
    some = poses[:: max(len(poses) // 50, 1)]
    local = torch.einsum("nij,nmi->nmj", some[:, :, :3], places[None] - some[:, None, :, 3])
    inside = (local[..., 2] < 0) & (local[..., :2].abs().amax(-1) < 0.5 * -local[..., 2])
    return -local[..., 2][inside].numpy()


def _poses(source: Posed) -> Float[torch.Tensor, "n 3 4"]:
    return source.manager.train_dataparser_outputs.cameras.camera_to_worlds.double()


def draw_cameras(source: Posed, points: Float[np.ndarray, "m 6"], path: Path) -> None:
    """The picture of all cameras, to be trained or evaluated on, in training's units; those far off or averted are red."""
    cameras = list(source.manager.all_cameras().values())
    poses = torch.stack([camera.camera_to_worlds for camera in cameras]).double()
    odd = {*far_cameras(poses[:, :, 3]), *averted_cameras(poses)}
    title = f"{source.data.resolve().name}: {counted(len(cameras), 'camera')}" + (
        f"; red: {len(odd)} likely wrong" if odd else ""
    )
    draw_views([_view(camera, i in odd) for i, camera in enumerate(cameras)], points, title, path)


def _view(camera: Cameras, is_marked: bool) -> View:
    pose = camera.camera_to_worlds.double().numpy() * np.array([1.0, -1.0, -1.0, 1.0])
    fx, fy, cx, cy = (float(getattr(camera, key)) for key in ("fx", "fy", "cx", "cy"))
    pinhole = Intrinsics(int(camera.width), int(camera.height), fx, fy, cx, cy, 0.0, 0.0, 0.0, 0.0)
    return View(pose, pinhole, is_marked)
