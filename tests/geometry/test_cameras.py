import numpy as np

from nerf_plugins.geometry.cameras import project
from nerf_plugins.scenes import Camera, camera_rays
from nerf_plugins.scenes.cameras import look_at


def test_rays_are_projected_back_to_their_pixels():
    """All four intrinsics differ, so none can stand for another."""
    camera = Camera(look_at(np.array([2.0, -1.0, 0.5]), np.zeros(3))[:3], 30.0, 20.0, 7.0, 4.0, 12, 9)
    origins, directions = camera_rays(camera)
    pixels = project(origins + 3.0 * directions, camera)
    rows, columns = np.divmod(np.arange(12 * 9), 12)
    assert pixels.in_image.all()
    np.testing.assert_array_equal(pixels.row, rows)
    np.testing.assert_array_equal(pixels.column, columns)
