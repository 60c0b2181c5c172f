import numpy as np

from nerf_plugins.geometry.cameras import project
from nerf_plugins.geometry.visibility import is_observed
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
