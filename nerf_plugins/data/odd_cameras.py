"""Cameras that are sound, but hardly meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.cameras.camera_utils import radial_and_tangential_undistort
from nerfstudio.cameras.cameras import Cameras, CameraType
from torch import Tensor

from nerf_plugins.axes import meeting
from nerf_plugins.wording import counted

_FAR_AWAY = 30.0
"""Times the median distance from the cameras' middle."""
_WIDEST = 7.5
"""Image width in focal lengths: an angle of 150 degrees."""
_AWAY = 75.0
"""Degrees between a camera's axis and what the others look at."""
_UNDISTORTED = 1.0
"""Pixels by which a corner may be missed."""
_FEW = 0.1
"""Share of the cameras: if more of them look away, the photos are not of one thing."""


def camera_remarks(cameras: Sequence[Cameras], names: Sequence[str]) -> list[str]:
    """Lines for the user on cameras that are sound, but hardly meant: far from all others, looking away from what they see or
    outwards, one pose for several images, a principal point outside the image, a very wide angle.

    Args:
        cameras: one by one.
        names: of their images.
    """
    poses = torch.stack([camera.camera_to_worlds for camera in cameras])
    whole = poses.double()
    lines = [_far_away(whole[:, :, 3], names), _looks_away(whole, names), _outwards(whole), _same_pose(poses, names)]
    lines += [line for line in map(_odd_intrinsics, cameras, names) if line][:1]
    return [line for line in lines if line]


def far_cameras(positions: Float[Tensor, "n 3"]) -> list[int]:
    """Those many times as far from the middle of all as is usual, the farthest first."""
    distances = _distances(positions)
    order = distances.argsort(descending=True).tolist()
    usual = float(distances.median())
    return [i for i in order if usual > 0 and float(distances[i]) > _FAR_AWAY * usual]


def _distances(positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    return (positions - positions.median(dim=0).values).norm(dim=-1)


def averted_cameras(poses: Float[Tensor, "n 3 4"]) -> list[int]:
    """The few that look away from what all others look at; none where the others have nothing in common."""
    if len(poses) < 5:
        return []
    away = (angles_to(focus(poses), poses) > _AWAY).nonzero().flatten().tolist()
    return away if len(away) <= max(1, int(_FEW * len(poses))) else []


def _far_away(positions: Float[Tensor, "n 3"], names: Sequence[str]) -> str | None:
    far = far_cameras(positions)
    if not far:
        return None
    distances = _distances(positions)
    return (
        f"The camera of {names[far[0]]} stands {float(distances[far[0]] / distances.median()):,.0f} times as far from the middle of all "
        "cameras as is usual: it decides the scene's scale; remove its frame if the pose is wrong."
    )


def focus(poses: Float[Tensor, "n 3 4"]) -> Float[Tensor, "3"]:
    """The point that is nearest to the cameras' axes, in the least-squares sense, of that half of the cameras that fits best."""
    positions, views = poses[:, :, 3].numpy(), -poses[:, :, 2].numpy()
    misses = np.linalg.norm(np.cross(meeting(positions, views).point - positions, views), axis=1)
    half = misses.argsort()[: max(len(poses) // 2, 2)]
    return torch.from_numpy(meeting(positions[half], views[half]).point).to(poses)


def angles_to(point: Float[Tensor, "3"], poses: Float[Tensor, "n 3 4"]) -> Float[Tensor, "n"]:
    """Degrees between each camera's axis and the direction to a point; 0 for a camera that stands there."""
    towards = point - poses[:, :, 3]
    cosines = (towards * -poses[:, :, 2]).sum(dim=-1) / towards.norm(dim=-1)
    return cosines.clamp(-1.0, 1.0).acos().rad2deg().nan_to_num()


def _looks_away(poses: Float[Tensor, "n 3 4"], names: Sequence[str]) -> str | None:
    away = averted_cameras(poses)
    if not away:
        return None
    named = ", ".join(names[i] for i in away[:3]) + (", ..." if len(away) > 3 else "")
    return f"{len(away)} of {len(poses)} cameras look away from what the others see ({named}): remove their frames if the poses are wrong."


def _outwards(poses: Float[Tensor, "n 3 4"]) -> str | None:
    # By angles, not by what is in front: a word that poses may be wrong needs nearly all cameras well turned away, not a little past 90.
    if len(poses) < 5 or float((angles_to(focus(poses), poses) > 180.0 - _AWAY).double().mean()) < 1 - _FEW:
        return None
    return (
        "The cameras' axes meet behind them: all look outwards, or their poses are written with z forward and y down (OpenCV's axes), "
        "where nerfstudio takes z backward and y up."
    )


def _same_pose(poses: Float[Tensor, "n 3 4"], names: Sequence[str]) -> str | None:
    flat = [tuple(pose) for pose in poses.flatten(1).tolist()]
    first = {pose: name for pose, name in reversed(list(zip(flat, names)))}
    copies = [(name, first[pose]) for pose, name in zip(flat, names) if first[pose] != name]
    if not copies:
        return None
    return f"{counted(len(copies), 'image has', 'images have')} the very pose of another one, {copies[0][0]} that of {copies[0][1]}."


def _odd_intrinsics(camera: Cameras, name: str) -> str | None:
    fx, cx, cy = float(camera.fx), float(camera.cx), float(camera.cy)
    width, height = int(camera.width), int(camera.height)
    if not (0 <= cx <= width and 0 <= cy <= height):
        return f"The principal point of {name}, ({cx:g}, {cy:g}), is outside its {width}x{height} pixels."
    if min(cx, cy) < 1.0 < min(width, height) / 4:
        return f"The principal point of {name}, ({cx:g}, {cy:g}), is in a corner of its {width}x{height} pixels: it is given in pixels."
    if int(camera.camera_type) != CameraType.PERSPECTIVE.value:
        return None
    if width / fx > _WIDEST:
        return f"The focal length of {name}, {fx:g}, is short for a width of {width}: it is given in pixels."
    return _odd_distortion(camera, name)


def _odd_distortion(camera: Cameras, name: str) -> str | None:
    """Where the distortion of a pinhole camera cannot be undone at the image's corners, or has a fisheye's fourth term."""
    if camera.distortion_params is None or not bool(camera.distortion_params.any()):
        return None
    params = camera.distortion_params.double().reshape(-1)
    fx, fy, cx, cy = (float(getattr(camera, key)) for key in ("fx", "fy", "cx", "cy"))
    ends = [((x - cx) / fx, (y - cy) / fy) for x in (0, int(camera.width)) for y in (0, int(camera.height))]
    corners = torch.tensor(ends, dtype=torch.float64)
    flat = radial_and_tangential_undistort(corners, params.expand(4, -1))
    error = float((fx * (_distorted(flat, params) - corners)).abs().max())
    values = ", ".join(f"{value:.3g}" for value in params.tolist())
    if not error < _UNDISTORTED:
        return (
            f"The distortion of {name} (k1 k2 k3 k4 p1 p2: {values}) cannot be undone at the image's corners (off by {error:.3g} pixels): "
            "their rays go astray; check it, or undistort the photos."
        )
    if float(params[3]) != 0:
        return f"The camera of {name} has k4 = {float(params[3]):.3g} and is no fisheye: is camera_model OPENCV_FISHEYE meant?"
    return None


def _distorted(points: Float[Tensor, "n 2"], params: Float[Tensor, "6"]) -> Float[Tensor, "n 2"]:
    """Points of the plane at depth 1 as nerfstudio's pinhole camera shows them."""
    k1, k2, k3, k4, p1, p2 = params.tolist()
    x, y = points.unbind(-1)
    r = x * x + y * y
    radial = 1 + r * (k1 + r * (k2 + r * (k3 + r * k4)))
    return torch.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x),
            y * radial + 2 * p2 * x * y + p1 * (r + 2 * y * y),
        ],
        dim=-1,
    )
