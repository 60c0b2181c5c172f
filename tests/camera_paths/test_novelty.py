"""Novelty, by hand."""

import numpy as np
import pytest

from nerf_plugins.camera_paths.novelty import spacing, view_novelty
from tests.camera_paths.rigs import looking_at, ring

ORIGIN = [0.0, 0.0, 0.0]


def test_novelty_by_hand():
    training = np.concatenate(
        [
            looking_at(ORIGIN, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
            looking_at([5.0, 6.0, 0.0], [[5.0, 5.0, 0.0]]),  # looks along +y, far away
        ]
    )
    views = looking_at([9.0, 0.0, 0.0], [[1.0, 0.5, 0.0], [1.0, -1.0, 0.0]])
    views[1] = looking_at([1.0, 5.0, 0.0], [[1.0, -1.0, 0.0]])[0]  # along +y
    found = view_novelty(views, training, k=2)
    np.testing.assert_array_equal(found.nearest, [[0, 1], [0, 1]])
    np.testing.assert_allclose(found.distances, [[0.5, np.hypot(1.0, 0.5)], [1.0, np.sqrt(5.0)]])
    np.testing.assert_allclose(found.distance, [0.5, 1.0])
    tilt = np.degrees(np.arctan(0.5 / 8.0))  # the first view looks along +x, and down by this
    np.testing.assert_allclose(found.angles, [[180.0 - tilt, 90.0 - tilt], [90.0, 180.0]])
    np.testing.assert_allclose(found.least_angle, [90.0 - tilt, 0.0], atol=1e-9)  # the second looks as the far one does


def test_a_training_view_is_not_new():
    training = ring(np.zeros(3), 2.0, 1.0, 7)
    found = view_novelty(training, training, k=1)
    np.testing.assert_array_equal(found.nearest[:, 0], np.arange(7))
    np.testing.assert_array_equal(found.distance, 0.0)
    np.testing.assert_array_equal(found.least_angle, 0.0)


def test_rolling_a_camera_makes_no_new_view():
    training = ring(np.zeros(3), 2.0, 1.0, 3)
    rolled = training.copy()
    rolled[:, :3, 0], rolled[:, :3, 1] = training[:, :3, 1], -training[:, :3, 0]
    np.testing.assert_allclose(view_novelty(rolled, training, 1).least_angle, 0.0, atol=1e-9)


def test_small_angles_are_exact():
    training = looking_at(ORIGIN, [[1.0, 0.0, 0.0]])
    view = looking_at(ORIGIN, [[1.0, 1e-9, 0.0]])
    assert view_novelty(view, training, 1).least_angle[0] == pytest.approx(np.degrees(1e-9), rel=1e-6)


def test_fewer_cameras_than_asked_for():
    assert view_novelty(ring(np.zeros(3), 2.0, 1.0, 4), ring(np.zeros(3), 1.0, 1.0, 2), k=3).nearest.shape == (4, 2)


def test_spacing_of_a_square():
    distance, angle = spacing(ring(np.zeros(3), 1.0, 0.0, 4))
    assert distance == pytest.approx(np.sqrt(2.0))
    assert angle == pytest.approx(90.0)
    assert spacing(ring(np.zeros(3), 1.0, 0.0, 1)) is None
