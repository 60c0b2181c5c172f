import numpy as np
import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from trimesh import Trimesh
from trimesh.creation import box, icosphere
from trimesh.util import concatenate

from nerf_plugins.errors import InputError
from nerf_plugins.export.views import cameras_of, seen_faces
from nerf_plugins.scenes import Camera
from nerf_plugins.scenes.cameras import look_at


def camera(*position: float) -> Camera:
    return Camera.centred(look_at(np.array(position), np.zeros(3)), 100.0, 100, 100)


def photos(n: int, camera_type=CameraType.PERSPECTIVE) -> Cameras:
    poses = torch.eye(4)[None, :3].repeat(n, 1, 1)
    poses[:, 2, 3] = torch.arange(n) + 4.0
    return Cameras(poses, 40.0, 50.0, 20.0, 15.0, 40, 30, camera_type=camera_type)


def ball_in_a_box() -> Trimesh:
    """A side of the box is divided into 128 faces; the ball's come last."""
    outer = box((2.0, 2.0, 2.0))
    for _ in range(3):
        outer = outer.subdivide()
    return concatenate([outer, icosphere(2, 0.5)])


def test_what_is_seen_by_enough_cameras_is_kept():
    mesh = ball_in_a_box()
    right, front = mesh.face_normals[:, 0] > 0.99, mesh.face_normals[:, 1] < -0.99
    both = [camera(4.0, -4.0, 0.1), camera(4.0, 0.0, 0.1)]
    in_box = np.arange(len(mesh.faces)) < 12 * 64
    assert (seen_faces(mesh, both, 1, 0) == in_box & (right | front)).all()
    assert (seen_faces(mesh, both, 2, 0) == in_box & right).all()


def test_the_margin_goes_around_corners_but_not_to_what_is_not_connected():
    mesh = ball_in_a_box()
    kept = [seen_faces(mesh, [camera(4.0, 0.0, 0.1)], 1, margin) for margin in (0, 1, 2, 50)]
    x = mesh.triangles_center[:, 0]
    assert [round(float(x[faces].min()), 1) for faces in kept[:3]] == [1.0, 0.8, 0.6]
    assert kept[3].sum() == 12 * 64


def test_where_nothing_is_seen_by_so_many_it_says_what_would_be():
    cameras = [camera(4.0, 0.0, 0.1), camera(-4.0, 0.0, 0.1)]
    with pytest.raises(
        InputError,
        match=r"min_views 2: no triangle is seen by so many of 2 training photos; the most that see one are 1$",
    ):
        seen_faces(ball_in_a_box(), cameras, 2, 3)
    inside = ball_in_a_box()
    inside.invert()
    with pytest.raises(InputError, match=r"min_views 1: .* 1 training photo; the most that see one are 0$"):
        seen_faces(inside, cameras[:1], 1, 3)


def test_the_cameras_are_those_of_the_photos():
    found = cameras_of(photos(3), 3)
    assert [x.pose[2, 3] for x in found] == [4.0, 5.0, 6.0]
    assert (found[0].fx, found[0].fy, found[0].cx, found[0].cy, found[0].width, found[0].height) == (
        40,
        50,
        20,
        15,
        40,
        30,
    )


def test_too_few_photos_and_other_cameras_are_refused():
    with pytest.raises(InputError, match=r"min_views 3: the run has 2 training photos: give no more$"):
        cameras_of(photos(2), 3)
    with pytest.raises(InputError, match="of type FISHEYE: masks and visibility need perspective ones"):
        cameras_of(photos(2, CameraType.FISHEYE), 1)
