"""From the scene to the world that a mesh's file is in: the input data's units, and on request an axis that points up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from trimesh import Trimesh

Up = Literal["data", "z", "y"]


def scene_from_world(transform: Float[Tensor, "3 4"], scale: float) -> Float[np.ndarray, "4 4"]:
    """The matrix of nerfstudio's ``dataparser_transform`` T and ``dataparser_scale`` s: ``scene = s (T_R world + T_t)``."""
    to_scene = np.eye(4)
    to_scene[:3] = scale * transform.double().cpu().numpy()
    return to_scene


def move_to_world(mesh: Trimesh, transform: Float[Tensor, "3 4"], scale: float) -> None:
    """Takes a mesh from the scene to the input data's world, in place; arguments as for :func:`scene_from_world`."""
    mesh.apply_transform(np.linalg.inv(scene_from_world(transform, scale)))


def cameras_up(poses: Float[Tensor, "n 3 4"], transform: Float[Tensor, "3 4"]) -> Float[np.ndarray, "3"]:
    """The unit mean of the cameras' upward directions in the input data's world, of poses in the scene and the data's T."""
    up = poses[:, :, 1].double().mean(dim=0).cpu().numpy()
    world = np.linalg.inv(transform[:, :3].double().cpu().numpy()) @ up
    return world / max(float(np.linalg.norm(world)), 1e-12)


def turn_up(mesh: Trimesh, up: Float[np.ndarray, "3"], axis: Up) -> str:
    """Turns a mesh, in place and by quarter turns only, so that the axis of its world nearest to ``up`` becomes ``axis``.

    Returns:
        What was done, for the user.
    """
    if axis == "data":
        return "axes as the input data has them"
    nearest = int(np.abs(up).argmax())
    sign = 1.0 if up[nearest] >= 0.0 else -1.0
    apart = np.degrees(np.arccos(min(abs(float(up[nearest])), 1.0)))
    mesh.apply_transform(_quarter_turns(nearest, sign, "xyz".index(axis)))
    name = ("+" if sign > 0 else "-") + "xyz"[nearest]
    return f"the data's {name} is now +{axis}, up (the cameras' mean up is {apart:.0f} degrees from it)"


def _quarter_turns(source: int, sign: float, target: int) -> Float[np.ndarray, "4 4"]:
    """The rotation that takes ``sign`` times one axis to another, about the axis that both are across to."""
    e = np.eye(3)
    a, b = sign * e[source], e[target]
    turn = np.eye(4)
    if source == target:
        turn[:3, :3] = e if sign > 0 else np.diag([1.0 if i == (source + 1) % 3 else -1.0 for i in range(3)])
        return turn
    c = np.cross(a, b)
    turn[:3, :3] = np.outer(b, a) - np.outer(a, b) + np.outer(c, c)
    return turn
