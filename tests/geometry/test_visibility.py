from dataclasses import replace

import numpy as np
import pytest
from trimesh.creation import icosphere

from nerf_plugins.geometry.cameras import project
from nerf_plugins.geometry.visibility import count_views, depth_picture, is_observed, sees_mesh
from nerf_plugins.scenes import Camera, Material, Placed, Scene, Sphere
from nerf_plugins.scenes.cameras import look_at

BALL = Scene((Placed("ball", Sphere(0.5), Material((1.0, 1.0, 1.0))),))


def camera(*position: float) -> Camera:
    return Camera.centred(look_at(np.array(position), np.zeros(3)), 100.0, 100, 100)


def test_pixels_by_hand():
    """From (4, 0, 0) world y is to the right and z up; a unit is 25 pixels."""
    points = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 3.0, 0.0], [9.0, 0.0, 0.0]])
    pixels = project(points, camera(4.0, 0.0, 0.0))
    assert pixels.in_image.tolist() == [True, True, True, False, False]
    assert pixels.column[:3].tolist() == [50, 75, 50]
    assert pixels.row[:3].tolist() == [50, 50, 25]


def test_what_one_camera_sees():
    """Front, back, deep inside, just behind the front, before it, beside the image, behind the camera."""
    points = [[0.5, 0, 0], [-0.5, 0, 0], [0, 0, 0], [0.49, 0, 0], [1.5, 0, 0], [0, 3.0, 0], [5, 0, 0]]
    seen = is_observed(np.array(points, float), BALL, [camera(4.0, 0.0, 0.0)], tolerance=0.02)
    assert seen.tolist() == [True, False, False, True, True, False, False]


def test_one_of_two_cameras_is_enough():
    points = np.array([[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0], [0.0, 0.0, -0.5]])
    cameras = [camera(4.0, 0.0, 0.0), camera(-4.0, 0.0, 0.0)]
    assert is_observed(points, BALL, cameras, tolerance=1e-4).tolist() == [True, True, False]
    assert not is_observed(points, BALL, [], tolerance=1e-4).any()


def square(x: float, half: float) -> tuple[np.ndarray, np.ndarray]:
    """Across the x axis."""
    corners = np.array([[x, -half, -half], [x, half, -half], [x, half, half], [x, -half, half]])
    return corners, np.array([[0, 1, 2], [0, 2, 3]])


def test_a_depth_picture_by_hand():
    """A square of 2 at distance 4 covers 50 x 50 of 100 x 100 pixels; what leans has the depth of each pixel's own point."""
    depth = depth_picture(*square(0.0, 1.0), camera(4.0, 0.0, 0.0))
    assert np.isfinite(depth).sum() == 50 * 50
    np.testing.assert_allclose(depth[25:75, 25:75], 4.0)
    # The plane x = y, seen in the columns right of the middle, which look along (-1, s, 0): 4 - d = s d.
    corners = np.array([[-2.0, -2.0, -1.0], [2.0, 2.0, -1.0], [2.0, 2.0, 1.0], [-2.0, -2.0, 1.0]])
    s = (np.arange(100) + 0.5 - 50) / 100
    row = depth_picture(corners, np.array([[0, 1, 2], [0, 2, 3]]), camera(4.0, 0.0, 0.0))[50]
    np.testing.assert_allclose(row[np.isfinite(row)], (4.0 / (1.0 + s))[np.isfinite(row)], rtol=1e-9)
    assert np.isfinite(row).sum() > 60


def test_of_two_faces_the_nearer_is_drawn_in_any_order():
    near, far = square(1.0, 0.5), square(-1.0, 0.5)
    vertices = np.concatenate([near[0], far[0]])
    for faces in (np.concatenate([near[1], far[1] + 4]), np.concatenate([far[1] + 4, near[1]])):
        assert depth_picture(vertices, faces, camera(4.0, 0.0, 0.0))[50, 50] == pytest.approx(3.0)


def test_a_face_behind_the_camera_hides_nothing():
    assert np.isinf(depth_picture(*square(6.0, 1.0), camera(4.0, 0.0, 0.0))).all()


def test_what_one_camera_sees_of_a_mesh():
    """As of the scene above: a square hides what is behind it, not what is beside."""
    points = np.array([[0.0, 0, 0], [-0.5, 0, 0], [1.5, 0, 0], [-0.5, 1.2, 0], [0, 3.0, 0], [5, 0, 0]])
    mesh = square(0.0, 1.0)
    seen = sees_mesh(points, *mesh, [camera(4.0, 0.0, 0.0)], tolerance=0.02)
    assert seen.tolist() == [True, False, True, True, False, False]
    both = sees_mesh(points, *mesh, [camera(4.0, 0.0, 0.0), camera(-4.0, 0.0, 0.0)], tolerance=0.02)
    assert both[:4].all()
    assert not sees_mesh(points, *mesh, [], tolerance=0.02).any()


AROUND = [camera(*sign * (4.0 * axis + [0.0, 0.01, 0.02])) for axis in np.eye(3) for sign in (1.0, -1.0)]
"""Six, one before each side of a box around the origin."""


def box(half: float) -> tuple[np.ndarray, np.ndarray]:
    """Around the origin; corners anti-clockwise seen from outside, two faces a side in the order -x, +x, -y, +y, -z, +z."""
    sides, faces = [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            along = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])[:: int(sign)]
            side = np.zeros((4, 3))
            side[:, axis], side[:, [(axis + 1) % 3, (axis + 2) % 3]] = sign, along
            faces.append(4 * len(sides) + np.array([[0, 1, 2], [0, 2, 3]]))
            sides.append(half * side)
    return np.concatenate(sides), np.concatenate(faces)


def test_of_a_box_in_a_box_the_inner_one_is_not_seen():
    outer, inner = box(1.0), box(0.5)
    views = count_views(np.concatenate([outer[0], inner[0]]), np.concatenate([outer[1], inner[1] + 24]), AROUND)
    assert views.tolist() == [1] * 12 + [0] * 12
    assert count_views(*inner, AROUND).tolist() == [1] * 12


def test_each_camera_that_sees_a_face_counts():
    """From a corner three sides are seen; a camera that looks away, and one for which it is beside the image, see none."""
    corner, away = camera(3.0, 3.0, 3.0), camera(-9.0, 0.0, 0.0)
    away = replace(away, pose=away.pose * [-1.0, 1.0, -1.0, 1.0])
    beside = replace(camera(4.0, 0.0, 0.0), cx=-200.0)
    assert (
        count_views(*box(0.5), [camera(4.0, 0.0, 0.0), corner, corner, away, beside]).tolist()
        == [0, 0, 3, 3] + [0, 0, 2, 2] * 2
    )
    assert count_views(*box(0.5), []).tolist() == [0] * 12


def test_a_plate_is_seen_from_its_outer_side_alone():
    vertices, faces = square(0.0, 1.0)
    assert count_views(vertices, faces, [camera(4.0, 0.0, 0.0)]).tolist() == [1, 1]
    assert count_views(vertices, faces, [camera(-4.0, 0.0, 0.0)]).tolist() == [0, 0]
    assert count_views(vertices, faces[:, ::-1], [camera(-4.0, 0.0, 0.0)]).tolist() == [1, 1]


def test_a_plate_hides_what_is_behind_it_whichever_way_it_faces():
    for turned in (1, -1):
        near, far = square(1.0, 1.0), square(-1.0, 0.5)
        vertices, faces = np.concatenate([near[0], far[0]]), np.concatenate([near[1][:, ::turned], far[1] + 4])
        assert count_views(vertices, faces, [camera(4.0, 0.0, 0.0)])[2:].tolist() == [0, 0]


def test_a_round_surface_is_seen_as_far_as_its_horizon():
    """Its faces are smaller than a pixel of the photo. Where it is looked at along itself, by 16 degrees or less, some are missed."""
    ball = icosphere(5)
    views = count_views(np.asarray(ball.vertices), np.asarray(ball.faces), [camera(4.0, 0.0, 0.0)])
    beyond = ball.triangles_center[:, 0] - 0.25  # the horizon is at x = 1 / 4
    assert (views[beyond > 0.25] == 1).all()
    assert 0.3 < (views[(beyond > 0.02) & (beyond < 0.25)] == 1).mean() < 1.0
    assert (views[beyond < 0.0] == 0).all()
