"""Checks of what a dataparser found, before anything is trained on it."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.spaces import box_span

# Rounding in hand-written transforms; beyond it rays would not have length 1.
_ROTATION_TOLERANCE = 1e-2


def check_dataparser_outputs(outputs: DataparserOutputs, split: str, opens_images: bool = True) -> None:
    """Checks that there are images, with files and sound cameras, and that some camera sees the scene box.

    Args:
        outputs: what the dataparser found.
        split: its name, for the message.
        opens_images: whether the files will be read; rendering a camera path needs none.

    Raises:
        InputError: naming the file and the value.
    """
    names = outputs.image_filenames
    if not names:
        raise InputError(f"no images in the {split} split: check the dataset's split files")
    if split == "train" and len(names) == 1:
        raise InputError(f"only one training image ({names[0]}): a radiance field needs at least two views")
    for name in names:
        if opens_images and not name.is_file():
            raise InputError(
                f"image {name} of the {split} split does not exist: check the frames that the dataset lists"
            )
    check_poses(outputs.cameras.camera_to_worlds, [str(name) for name in names])
    if split == "train" and not bool(looks_at_box(outputs.cameras, outputs.scene_box.aabb).any()):
        raise InputError(
            f"no training camera looks at the scene box {outputs.scene_box.aabb.tolist()}: check the poses' convention "
            "(x right, y up, looking along -z) and the dataparser's scale"
        )


def check_poses(camera_to_worlds: Tensor, names: list[str]) -> None:
    """Checks that poses (n, 3, 4) are finite and rigid.

    Raises:
        InputError: naming the first image whose pose is not.
    """
    rotation = camera_to_worlds[:, :3, :3].double()
    for i, name in enumerate(names):
        if not bool(camera_to_worlds[i].isfinite().all()):
            raise InputError(f"the pose of {name} is not finite: {camera_to_worlds[i].tolist()}")
        error = float((rotation[i].T @ rotation[i] - torch.eye(3, dtype=torch.float64)).abs().max())
        determinant = float(torch.linalg.det(rotation[i]))
        if error > _ROTATION_TOLERANCE or determinant < 0:
            raise InputError(
                f"the pose of {name} is not a rotation and a translation (R^T R differs from 1 by {error:.3g}, det R = "
                f"{determinant:.3g}): remove scale, shear or mirroring from its transform"
            )


def is_inside_box(cameras: Cameras, aabb: Tensor) -> Bool[Tensor, "n"]:
    """Which cameras stand in the box."""
    origins = cameras.camera_to_worlds[:, :3, 3]
    return ((origins > aabb[0]) & (origins < aabb[1])).all(-1)


def looks_at_box(cameras: Cameras, aabb: Tensor) -> Bool[Tensor, "n"]:
    """Which cameras see the box: stand in it, or have it somewhere in front of the centre or the corners of the image."""
    sees = is_inside_box(cameras, aabb)
    half_x, half_y = (cameras.cx / cameras.fx).float().squeeze(-1), (cameras.cy / cameras.fy).float().squeeze(-1)
    poses = cameras.camera_to_worlds.float()
    rotation, origins = poses[:, :3, :3], poses[:, :3, 3]
    for sx, sy in [(0, 0), (-0.9, -0.9), (-0.9, 0.9), (0.9, -0.9), (0.9, 0.9)]:
        local = torch.stack([sx * half_x, sy * half_y, -torch.ones_like(half_x)], dim=-1)
        enter, leave = box_span(origins, (rotation @ local[..., None]).squeeze(-1), aabb)
        sees |= leave > enter.clamp(min=0.0)
    return sees
