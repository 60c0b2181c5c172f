"""The moving scene: what is said to move is where the scene of the other time has it."""

import numpy as np
import pytest

from nerf_plugins.geometry.sampling import sample_scene
from nerf_plugins.scenes import demo_scene, moved, moving_scene
from nerf_plugins.scenes.moving import ARM, GLIDE, HINGE, TABLE_RADIUS, TURN, spread_times, still_points

TIMES = [0.0, 0.3, 0.77, 1.0]


@pytest.mark.parametrize("before", TIMES)
@pytest.mark.parametrize("after", TIMES)
def test_moved_points_are_on_the_surface_with_their_colour(before: float, after: float):
    old, new = moving_scene(before), moving_scene(after)
    points = sample_scene(old, 400).positions
    index = old.nearest(points)
    there = moved(points, index, old, new)
    for k, thing in enumerate(new.objects):
        mine = index == k
        assert np.abs(thing.sdf(there[mine])).max() < 1e-9
    np.testing.assert_allclose(new.albedo(there, index), old.albedo(points, index), atol=1e-12)
    np.testing.assert_allclose(moved(there, index, new, old), points, atol=1e-12)


def test_what_moves_is_rigid_and_what_stays_stays():
    old, new = moving_scene(0.0), moving_scene(1.0)
    points = sample_scene(old, 400).positions
    index = old.nearest(points)
    there = moved(points, index, old, new)
    way = np.linalg.norm(there - points, axis=1)
    names = [thing.name for thing in old.objects]
    for k, name in enumerate(names):
        mine = index == k
        before, after = points[mine], there[mine]
        distances = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (before, after)]
        np.testing.assert_allclose(*distances, atol=1e-12)
        assert (way[mine].max() < 1e-12) == (name in ("table", "post"))
    assert way.max() > 0.8


def test_the_arm_stays_at_its_hinge_and_the_ball_at_the_arm():
    for time in TIMES:
        arm, ball = (thing for thing in moving_scene(time).objects if thing.name in ("arm", "ball"))
        assert np.linalg.norm(np.subtract(ball.position, HINGE)) == pytest.approx(ARM)
        middle = 0.5 * (np.asarray(HINGE) + ball.position)
        np.testing.assert_allclose(arm.position, middle, atol=1e-12)
        axis = np.asarray(arm.rotation)[:, 2]
        np.testing.assert_allclose(axis, np.subtract(ball.position, HINGE) / ARM, atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(np.asarray(arm.rotation)), 1.0)


def test_the_crate_by_hand():
    half, quarter = np.array([0.18, 0.0, 0.0]), np.array([0.0, 0.18, 0.0])
    start, end = moving_scene(0.0).objects[4], moving_scene(0.75).objects[4]
    assert TURN * 0.75 == 90.0
    there = moved(np.asarray([start.position]) + half, np.array([4]), moving_scene(0.0), moving_scene(0.75))
    place = np.asarray(GLIDE[0]) + 0.75 * np.subtract(GLIDE[1], GLIDE[0])
    np.testing.assert_allclose(end.position[:2], place)
    np.testing.assert_allclose(there[0], np.asarray(end.position) + quarter, atol=1e-12)


def test_it_stays_in_the_demos_box():
    for time in np.linspace(0.0, 1.0, 11):
        assert np.abs(moving_scene(float(time)).bounds).max() < 1.0
    assert demo_scene() is demo_scene()


def test_times_are_all_over_and_held_out_ones_lie_between():
    times, held_out = spread_times(20), spread_times(10, held_out=True)
    np.testing.assert_allclose(np.sort(times), np.arange(20) / 19)
    assert times[0] == 0.0
    assert np.abs(np.diff(times)).min() > 0.3
    np.testing.assert_allclose(np.sort(held_out), (np.arange(10) + 0.5) / 10)
    assert spread_times(1).tolist() == [0.0]


@pytest.mark.parametrize("time", TIMES)
def test_still_points_are_on_the_table_at_all_times(time: float):
    points = still_points(100)
    table = moving_scene(time).objects[0]
    assert table.name == "table"
    assert np.abs(table.sdf(points)).max() < 1e-9
    radius = np.linalg.norm(points[:, :2], axis=1)
    assert (radius**2 < 0.5 * TABLE_RADIUS**2).sum() == 50  # evenly: half of them on half of the area
