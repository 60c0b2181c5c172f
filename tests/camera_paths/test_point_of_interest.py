"""Where a path looks, and how cameras stand around it."""

import numpy as np
import pytest
import torch
from nerfstudio.cameras.cameras import Cameras

from nerf_plugins.camera_paths.layout import describe_layout, nearest_axis, perpendicular
from nerf_plugins.camera_paths.point_of_interest import axes_meet, densest_point, surface_points
from nerf_plugins.errors import InputError
from nerf_plugins.scenes.cameras import dome
from tests.camera_paths.rigs import UP, looking_at, ring

TARGET = np.array([0.3, -0.2, 0.1])


def test_axes_that_meet_do_so_in_the_target():
    poses = dome(np.arange(30.0), 30, TARGET, 2.5, (2.0, 80.0))
    np.testing.assert_allclose(axes_meet(poses), TARGET, atol=1e-12)


def test_skew_axes_meet_halfway():
    along_x = looking_at([0.0, 0.0, 0.0], [[2.0, 0.0, 0.0]])
    along_y = looking_at([0.0, 0.0, 1.0], [[0.0, 2.0, 1.0]])
    np.testing.assert_allclose(axes_meet(np.concatenate([along_x, along_y])), [0.0, 0.0, 0.5], atol=1e-12)


def outward(poses):
    turned = poses.copy()
    turned[:, :3, [0, 2]] *= -1.0
    return turned


@pytest.mark.parametrize(
    ("poses", "message"),
    [
        (ring(TARGET, 2.0, 1.0, 1), "meets no other"),
        (np.tile(np.eye(4), (3, 1, 1)), "parallel"),
        (outward(ring(TARGET, 2.0, 1.0, 6)), "behind"),
    ],
)
def test_axes_that_meet_nowhere(poses, message):
    with pytest.raises(InputError, match=message):
        axes_meet(poses)


def test_the_layout_of_a_dome():
    poses = dome(np.arange(50.0), 50, TARGET, 3.0, (0.0, 90.0))
    layout = describe_layout(poses, TARGET, UP)
    assert layout.distance == pytest.approx(3.0)
    assert layout.axis[2] > 0.99
    assert layout.elevation == pytest.approx(30.0, abs=1.0)  # half of a hemisphere is above it
    assert 80.0 < layout.spread < 90.0
    np.testing.assert_allclose([layout.front[2], np.linalg.norm(layout.front)], [0.0, 1.0], atol=1e-12)


def test_all_around_the_axis_is_up_and_the_front_is_the_first_camera():
    layout = describe_layout(ring(TARGET, 2.0, 0.0, 8), TARGET, UP)
    np.testing.assert_array_equal(layout.axis, UP)
    np.testing.assert_allclose(layout.front, [1.0, 0.0, 0.0], atol=1e-12)
    assert layout.spread == pytest.approx(90.0)


def test_a_camera_at_the_point_is_left_out():
    poses = np.concatenate([ring(TARGET, 2.0, 0.0, 3), looking_at([0.0, 0.0, 0.0], [TARGET])])
    assert describe_layout(poses, TARGET, UP).distance == pytest.approx(2.0)
    with pytest.raises(InputError, match="where the camera itself stands"):
        describe_layout(poses[3:], TARGET, UP)


def test_up_is_a_coordinate_axis():
    np.testing.assert_array_equal(nearest_axis(np.array([0.1, -0.8, 0.3])), [0.0, -1.0, 0.0])
    np.testing.assert_array_equal(nearest_axis(np.zeros(3)), [0.0, 0.0, 1.0])


def test_a_perpendicular_follows_the_first_hint_that_is_not_parallel():
    np.testing.assert_allclose(perpendicular(UP, 5.0 * UP, np.array([0.0, 2.0, 9.0])), [0.0, 1.0, 0.0])
    np.testing.assert_allclose(perpendicular(np.array([1.0, 0.0, 0.0])), [0.0, 1.0, 0.0])


def test_the_densest_point_is_one_of_the_densest_cluster():
    rng = np.random.default_rng(0)
    cluster, rest = rng.normal(size=(300, 3)) * 0.02 + TARGET, rng.uniform(-1.0, 1.0, size=(600, 3))
    rest[0] = np.nan
    found = densest_point(np.concatenate([rest, cluster]))
    assert (cluster == found).all(axis=1).any()
    with pytest.raises(InputError, match="no surface"):
        densest_point(np.zeros((0, 3)))


class Ball:
    """A model of an opaque ball."""

    def __init__(self, centre, radius):
        self.centre, self.radius = torch.tensor(centre), radius

    def __call__(self, rays):
        b = ((self.centre - rays.origins) * rays.directions).sum(-1, keepdim=True)
        root = self.radius**2 - ((rays.origins + b * rays.directions - self.centre) ** 2).sum(-1, keepdim=True)
        return {"depth": b - root.clamp(min=0.0).sqrt(), "accumulation": (root > 0.0).float()}


def cameras_of(poses):
    c2w = torch.from_numpy(poses[:, :3]).float()
    return Cameras(c2w, fx=60.0, fy=60.0, cx=32.0, cy=24.0, width=64, height=48)


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_surface_points_lie_on_the_surface():
    centre = [0.4, 0.1, -0.2]
    seen = []
    cameras = cameras_of(ring(TARGET, 2.0, 1.0, 20))
    points = surface_points(Ball(centre, 0.5), cameras, track=lambda cameras: seen.extend(cameras) or cameras)
    assert len(seen) == 16
    assert {seen[0], seen[-1]} == {0, 19}
    assert 1000 < len(points) < 16 * 32 * 32
    np.testing.assert_allclose(np.linalg.norm(points - centre, axis=1), 0.5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_a_model_without_depth():
    with pytest.raises(InputError, match="gives no depth"):
        surface_points(lambda rays: {}, cameras_of(ring(TARGET, 2.0, 1.0, 2)))
