"""Which way is up, and where the middle is."""

import numpy as np
import pytest

from nerf_plugins.captures.orientation import focus, upright, vertical
from tests.captures.made_scene import arc, look_at

POINTS = np.random.default_rng(0).uniform(-1, 1, (50, 3))


def turned(poses: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    return np.einsum("ij,njk->nik", rotation, poses)


def some_rotation() -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    return q * np.linalg.det(q)


def ring(count: int, height: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    positions = np.stack([2 * np.cos(angles), 2 * np.sin(angles), np.full(count, height)], axis=1)
    return np.stack([look_at(p, np.zeros(3)) for p in positions])


@pytest.mark.parametrize("height", [0.0, 1.0, 10.0, -3.0])
def test_up_is_found_however_steeply_the_cameras_look(height):
    rotation = some_rotation()
    up = vertical(turned(ring(12, height), rotation))
    assert np.allclose(up, rotation @ [0, 0, 1], atol=1e-6)


def test_photos_lying_on_their_side_do_not_tip_the_scene_over():
    poses = ring(12, 1.0)
    poses[::4, :, :2] = np.stack([poses[::4, :, 1], -poses[::4, :, 0]], axis=2)  # x was down, y up against right
    assert vertical(poses)[2] > 0.8


def test_cameras_that_look_one_way_use_their_own_up():
    poses = np.stack([np.column_stack([np.diag([1.0, -1.0, -1.0]), [x, 0.1 * x, 2.0]]) for x in np.linspace(-1, 1, 7)])
    assert np.allclose(vertical(poses), [0, 1, 0], atol=1e-6)


def test_the_focus_is_where_the_axes_meet():
    assert np.allclose(focus(arc(9), POINTS), [0.4, 0.4, 0.6], atol=1e-9)


def test_a_room_seen_from_its_middle_has_its_focus_among_the_points():
    poses = ring(12, 0.0)
    poses[:, :, [0, 2]] *= -1.0  # outwards
    points = POINTS + np.array([5.0, 0.0, 0.0])
    assert np.allclose(focus(poses, points), np.median(points, axis=0))


def test_upright_is_a_similarity_with_z_up_and_unit_radius():
    rotation = some_rotation()
    poses = turned(arc(9), rotation)
    to = upright(poses, POINTS)
    assert np.allclose(to.rotation @ to.rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(to.rotation) == pytest.approx(1.0)
    assert np.allclose(to.rotation @ rotation @ [0, 0, 1], [0, 0, 1], atol=1e-2)
    centres = to.scale * poses[:, :, 3] @ to.rotation.T + to.translation
    assert np.linalg.norm(centres, axis=1).max() == pytest.approx(1.0)
    middle = to.scale * to.rotation @ rotation @ [0.4, 0.4, 0.6] + to.translation
    assert np.allclose(middle, 0.0, atol=1e-9)
