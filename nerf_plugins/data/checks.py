"""Checks of what a dataparser found, before anything is trained on it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

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
        raise InputError(
            f"no images in the {split} split: check the dataset's split files, or how its dataparser splits (--help)"
        )
    if split == "train" and len(names) == 1:
        raise InputError(f"only one training image ({names[0]}): a radiance field needs at least two views")
    for name in names:
        if opens_images and not name.is_file():
            raise InputError(f"image {name} of the {split} split does not exist: {missing_image(name)}")
    check_intrinsics(outputs.cameras, [str(name) for name in names])
    if not bool(outputs.cameras.camera_to_worlds.isfinite().flatten(1).all(1).any()):
        raise InputError(
            f"the dataparser has made the poses of all {len(names)} images of the {split} split not finite: its way to orient, centre or "
            "scale does not suit these cameras; with nerfstudio-data give --orientation-method none --center-method none"
        )
    check_poses(outputs.cameras.camera_to_worlds, [str(name) for name in names])
    check_times(outputs.cameras.times, [str(name) for name in names])
    if split == "train" and not bool(looks_at_box(outputs.cameras, outputs.scene_box.aabb).any()):
        raise InputError(
            f"no training camera looks at the scene box {outputs.scene_box.aabb.tolist()}: check the poses' convention "
            "(x right, y up, looking along -z) and the dataparser's scale"
        )


def check_times(times: Tensor | None, names: list[str]) -> None:
    """Checks that the photos' times, where there are any, are in [0, 1].

    Raises:
        InputError: naming the first image whose time is not.
    """
    if times is None:
        return
    for name, time in zip(names, times.reshape(-1).tolist()):
        if not 0.0 <= time <= 1.0:
            raise InputError(
                f"the time of {name} is {time:g}, not in [0, 1]: divide the dataset's times by the last one"
            )


def missing_image(path: Path) -> str:
    """What to do about an image that is not there."""
    if "\\" in str(path):
        return "write / in file_path instead of \\"
    if path.is_dir():
        return "it is a folder"
    if path.is_symlink():
        return "it is a link that leads to no file"
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if path.suffix == Path(path.stem).suffix and path.with_suffix("").is_file():  # Blender's parser adds .png
        return f"{path.stem} is there: write file_path without its ending"
    alike = sorted(other.name for other in folder.iterdir() if _plain_stem(other.name) == _plain_stem(path.name))
    if alike:
        return f"{alike[0]} is there: correct file_path, or rename or convert the file"
    return "check the frames that the dataset lists"


def _plain_stem(name: str) -> str:
    return unicodedata.normalize("NFC", Path(name).stem).casefold()


def check_poses(camera_to_worlds: Tensor, names: list[str], where: str = "") -> None:
    """Checks that poses (n, 3, 4) are finite and rigid.

    Raises:
        InputError: naming the first image whose pose is not.
    """
    rotation = camera_to_worlds[:, :3, :3].double()
    for i, name in enumerate(names):
        if not bool(camera_to_worlds[i].isfinite().all()):
            raise InputError(f"{where}the pose of {name} is not finite: {camera_to_worlds[i].tolist()}")
        error = float((rotation[i].T @ rotation[i] - torch.eye(3, dtype=torch.float64)).abs().max())
        determinant = float(torch.linalg.det(rotation[i]))
        if error > _ROTATION_TOLERANCE or determinant < 0:
            raise InputError(
                f"{where}the pose of {name} is not a rotation and a translation (R^T R differs from 1 by {error:.3g}, det R = "
                f"{determinant:.3g}): remove scale, shear or mirroring from its transform"
            )


def check_spread(camera_to_worlds: Tensor, where: str) -> None:
    """Checks that poses (n, 3, 4) are of several cameras that do not all stand in one place: depth is seen from two places only.

    Raises:
        InputError: saying where they stand.
    """
    if len(camera_to_worlds) == 1:
        raise InputError(f"{where}: there is only one photo: a radiance field needs at least two views")
    positions = camera_to_worlds[:, :, 3].double()
    spread = float((positions - positions[0]).norm(dim=-1).max())
    if spread <= 1e-6 * max(1e-3, float(positions[0].norm())):
        place = ", ".join(f"{value:.3g}" for value in positions[0].tolist())
        raise InputError(
            f"{where}: all {len(positions)} cameras stand in one place ({place}): depth cannot be seen from there; take photos from "
            "several places, or check how the poses were written"
        )


def check_intrinsics(cameras: Cameras, names: list[str]) -> None:
    """Checks that focal lengths are above 0 and that they, principal points and distortion are finite.

    Raises:
        InputError: naming the first image of which they are not.
    """
    for key in ("fx", "fy", "cx", "cy"):
        values = getattr(cameras, key)
        wrong = ~values.isfinite() | (values <= 0 if key in ("fx", "fy") else False)
        if bool(wrong.any()):
            i = int(wrong.flatten().nonzero()[0])
            raise InputError(f"the camera of {names[i]} has {key} {float(values[i]):g}: check the cameras' file")
    distortion = cameras.distortion_params
    if distortion is not None and not bool(distortion.isfinite().all()):
        i = int((~distortion.isfinite()).any(-1).nonzero()[0])
        raise InputError(
            f"the camera of {names[i]} has the distortion {distortion[i].tolist()}: check the cameras' file"
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
