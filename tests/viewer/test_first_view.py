"""Where the viewer begins: at the first training camera."""

import math
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.viewer.utils import parse_object
from nerfstudio.viewer.viewer_elements import ViewerControl
from viser.transforms import SO3

from nerf_plugins.viewer.first_view import FirstView, hides_the_scene, picture_distance, view_of

ORIGIN = torch.zeros(3)


def camera(position=(0.0, -4.0, 0.0), width=200, height=100, camera_type=CameraType.PERSPECTIVE) -> Cameras:
    """Looks along the world's +y with +z up."""
    rotation = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    pose = torch.cat([rotation, torch.tensor(position)[:, None]], dim=1)
    cameras = Cameras(pose[None], fx=100.0, fy=100.0, cx=width / 2, cy=height / 2, width=width, height=height)
    cameras.camera_type[:] = camera_type.value
    return cameras[0]


def all_of(*cameras: Cameras) -> Cameras:
    """A data set's, of single ones."""
    poses = torch.stack([camera.camera_to_worlds for camera in cameras])
    return Cameras(poses, fx=100.0, fy=100.0, cx=100.0, cy=50.0, width=200, height=100)


def test_the_view_is_the_cameras():
    view = view_of(camera(), ORIGIN, aspect=4.0)
    np.testing.assert_allclose(view.position, [0.0, -4.0, 0.0])
    right, down, forward = SO3(view.orientation).as_matrix().T
    np.testing.assert_allclose([right, down, forward], [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-12)


def test_a_step_goes_ahead():
    np.testing.assert_allclose(view_of(camera(), ORIGIN, 1.0, step=0.5).position, [0.0, -3.5, 0.0])


@pytest.mark.parametrize(("aspect", "tan"), [(4.0, 0.5), (2.0, 0.5), (1.0, 1.0), (0.5, 2.0)])
def test_the_whole_image_fits_into_the_window(aspect, tan):
    """The image is 200 wide and 100 high at a focal length of 100: it fills a window of that aspect or wider from top to bottom."""
    assert view_of(camera(), ORIGIN, aspect).fov == pytest.approx(2.0 * math.atan(tan))


@pytest.mark.parametrize("camera_type", [CameraType.FISHEYE, CameraType.EQUIRECTANGULAR])
def test_other_lenses_leave_the_windows_field_of_view(camera_type):
    assert view_of(camera(camera_type=camera_type), ORIGIN, 1.0).fov is None


@pytest.mark.parametrize(
    ("center", "point"),
    [((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), ((9.0, 2.0, 0.0), (0.0, 2.0, 0.0)), ((0.0, -5.0, 0.0), (0.0, -3.0, 0.0))],
    ids=["on the axis", "beside it", "behind the camera"],
)
def test_the_view_turns_around_what_the_camera_looks_at(center, point):
    np.testing.assert_allclose(view_of(camera(), torch.tensor(center), 1.0).turning_point, point, atol=1e-12)


def test_the_cameras_own_picture():
    """At distance z it is 2 z wide and z high (x = z, y = z / 2 in viser's frustum if the field of view were the vertical one;
    nerfstudio hands in the horizontal one, so y = z and x = 2 z), and x y z = 3."""
    z = picture_distance(camera())
    assert 2.0 * z * z * z == pytest.approx(3.0)


class Server:
    """What of viser's server is used."""

    def __init__(self, *clients) -> None:
        self.clients = clients
        self.callbacks = []

    def on_client_connect(self, callback) -> None:
        self.callbacks.append(callback)

    def get_clients(self) -> dict:
        return dict(enumerate(self.clients))


def visitor() -> SimpleNamespace:
    return SimpleNamespace(atomic=nullcontext, camera=SimpleNamespace(aspect=2.0))


def check(visitor: SimpleNamespace) -> None:
    """nerfstudio shows a scene ten times as large. A frustum's scale is a length there."""
    step = 0.3 * picture_distance(camera())
    np.testing.assert_allclose(visitor.camera.position, [0.0, -40.0 + step, 0.0])
    np.testing.assert_allclose(visitor.camera.look_at, [0.0, 0.0, 0.0], atol=1e-12)
    assert visitor.camera.fov == pytest.approx(2.0 * math.atan(0.5))


@pytest.mark.usefixtures("without_type_checker")  # the client is a stand-in
def test_whoever_opens_the_viewer_is_moved_there():
    early, late = visitor(), visitor()
    server = Server(early)
    view = FirstView(all_of(camera()), ORIGIN)
    view._setup(SimpleNamespace(viser_server=server, config=SimpleNamespace(camera_frustum_scale=0.3)))
    check(early)
    (connected,) = server.callbacks
    connected(late)
    check(late)


@pytest.mark.parametrize(
    ("position", "hides"),
    [((0.0, -3.9, 0.0), True), ((0.05, -3.99, 0.0), True), ((0.0, -3.0, 0.0), False), ((0.0, -4.5, 0.0), False)],
    ids=["just ahead", "beside", "far ahead", "behind"],
)
def test_images_that_stand_in_the_way(position, hides):
    """Frustums of scale 0.03: an image at 0.034, of half diagonal 0.077, hides the scene from up to 0.46."""
    view = view_of(camera(), ORIGIN, 2.0, step=0.03 * picture_distance(camera()))
    assert hides_the_scene(view, camera(position), 0.03) is hides


@pytest.mark.usefixtures("without_type_checker")  # the client is a stand-in
def test_images_in_the_way_are_hidden():
    drawn = {i: SimpleNamespace(visible=True) for i in range(3)}
    view = FirstView(all_of(camera(), camera((0.0, -3.9, 0.0)), camera((0.0, -2.0, 0.0))), ORIGIN)
    view._setup(
        SimpleNamespace(
            viser_server=Server(visitor()), config=SimpleNamespace(camera_frustum_scale=0.3), camera_handles=drawn
        )
    )
    assert [frustum.visible for frustum in drawn.values()] == [True, False, True]


def test_nerfstudio_finds_it_in_a_pipeline():
    pipeline = torch.nn.Module()
    pipeline.first_view = FirstView(all_of(camera()), ORIGIN)
    assert [element for _, element in parse_object(pipeline, ViewerControl, "Custom Elements")] == [pipeline.first_view]
