"""What the viewer shows first: the scene as a training camera sees it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.datasets.base_dataset import InputDataset
from nerfstudio.viewer.viewer_elements import ViewerControl
from torch import Tensor
from viser import ClientHandle
from viser.transforms import SO3

if TYPE_CHECKING:
    from nerfstudio.viewer.viewer import Viewer


# A window that opens may have no width yet.
_LEAST_ASPECT = 0.1
# Of a camera's picture from which it is too near, in multiples of its half diagonal: there it fills a good part of the view.
_TOO_NEAR = 6.0


class View(NamedTuple):
    """Where a picture is taken from; lengths in the units of the camera."""

    position: Float[np.ndarray, "3"]
    orientation: Float[np.ndarray, "4"]
    """Quaternion (w, x, y, z) of the rotation from OpenCV's camera axes (right, down, forward) to the scene's."""
    turning_point: Float[np.ndarray, "3"]
    """What the mouse turns the view around."""
    fov: float | None
    """Vertical field of view in radians; None where the camera is no pinhole."""


def view_of(camera: Cameras, center: Float[Tensor, "3"], aspect: float, step: float = 0.0) -> View:
    """The view of a camera in a window.

    The view turns around the point of the optical axis that is nearest to the scene's centre; where that is not ahead, around the
    point one unit ahead. Of a pinhole camera the whole image fits into the window.

    Args:
        camera: a single one.
        center: the scene's.
        aspect: the window's width over its height.
        step: how far ahead of the camera the view is.
    """
    pose = camera.camera_to_worlds.detach().cpu().double()
    forward = -pose[:, 2]  # nerfstudio's cameras look along -z, with y up
    position = pose[:, 3] + step * forward
    ahead = float(forward @ (center.cpu().double() - position))
    fov = None
    if camera.camera_type.item() == CameraType.PERSPECTIVE.value:
        tan_y = (camera.height / (2.0 * camera.fy)).item()
        tan_x = (camera.width / (2.0 * camera.fx)).item()
        fov = 2.0 * math.atan(max(tan_y, tan_x / max(aspect, _LEAST_ASPECT)))
    rotation = pose[:, :3] * torch.tensor([1.0, -1.0, -1.0])
    turning_point = position + forward * (ahead if ahead > 0.0 else 1.0)
    return View(position.numpy(), SO3.from_matrix(rotation.numpy()).wxyz, turning_point.numpy(), fov)


def _half_sides(camera: Cameras) -> tuple[float, float]:
    """Half the width and height at distance 1 of the image that the viewer shows ahead of a camera: x = aspect * y and y = cx / fx, since
    nerfstudio hands in the horizontal field of view for the vertical one.
    """
    y = (camera.cx / camera.fx).item()
    return y * (camera.cx / camera.cy).item(), y


def picture_distance(camera: Cameras) -> float:
    """How far ahead of a camera the viewer shows the camera's image, for a frustum of scale 1.

    viser scales a frustum of half-widths x, y at distance 1 such that x * y * z = 3.
    """
    x, y = _half_sides(camera)
    return (3.0 / (x * y)) ** (1.0 / 3.0)


def hides_the_scene(view: View, camera: Cameras, scale: float) -> bool:
    """Whether the image that is shown in front of a camera is ahead of a view and so near that it fills a good part of it.

    Args:
        view: where the scene is seen from.
        camera: a single one.
        scale: of its frustum, in the units of the camera.
    """
    pose = camera.camera_to_worlds.detach().cpu().double().numpy()
    distance = scale * picture_distance(camera)
    to_picture = pose[:, 3] - distance * pose[:, 2] - view.position
    forward = SO3(view.orientation).as_matrix()[:, 2]
    half_diagonal = distance * math.hypot(*_half_sides(camera))
    return bool(to_picture @ forward > -half_diagonal and np.linalg.norm(to_picture) < _TOO_NEAR * half_diagonal)


class FirstView(ViewerControl):
    """Moves whoever opens the viewer to a camera; nerfstudio finds it among a pipeline's attributes.

    The view is a hair's breadth ahead of the camera, past the camera's own image, which would else cover the picture. Of a video the
    next frames' images stand as near before it: those that would cover the picture are hidden.

    Args:
        cameras: those of the training images; the view is the first one's.
        center: the scene's.
    """

    def __init__(self, cameras: Cameras, center: Float[Tensor, "3"]) -> None:
        self.cameras = cameras
        self.center = center

    @classmethod
    def of_dataset(cls, dataset: InputDataset) -> FirstView:
        """The view of a data set's first camera."""
        return cls(dataset.cameras, dataset.scene_box.aabb.mean(dim=0))

    def _setup(self, viewer: Viewer) -> None:
        super()._setup(viewer)
        self.viser_server.on_client_connect(self.show)
        for client in self.viser_server.get_clients().values():  # who came before
            self.show(client)

    def show(self, client: ClientHandle) -> None:
        """Moves a browser's view to the camera."""
        # Here, since it imports all of nerfstudio's models.
        from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO as SCALE

        scale = self.viewer.config.camera_frustum_scale / SCALE
        first = self.cameras[0]
        view = view_of(first, self.center, client.camera.aspect, scale * picture_distance(first))
        with client.atomic():
            client.camera.position = view.position * SCALE
            client.camera.wxyz = view.orientation
            client.camera.look_at = view.turning_point * SCALE
            if view.fov is not None:
                client.camera.fov = view.fov
        # There are none before nerfstudio has drawn the scene.
        for i, frustum in getattr(self.viewer, "camera_handles", {}).items():
            if i != 0 and hides_the_scene(view, self.cameras[i], scale):
                frustum.visible = False
