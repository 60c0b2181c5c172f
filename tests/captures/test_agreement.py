"""Which matches agree with poses. Distances are computed by hand or by the points' projections; a real one is in test_processing.py."""

from collections import Counter

import numpy as np
import pytest

from nerf_plugins.captures.agreement import Agreement, sampson_errors
from tests.captures.made_scene import arc


def test_distance_from_an_epipolar_line_by_hand():
    """Moved to the right without turning, a point stays in its row: E x = (0, -1, x_2), so half of the offset is each image's."""
    relative = np.array([[1.0, 0, 0, -1.0], [0, 1, 0, 0], [0, 0, 1, 0]])
    errors = sampson_errors(relative, np.array([[0.1, 0.2], [0.1, 0.2]]), np.array([[-0.3, 0.2], [-0.3, 0.25]]))
    assert errors == pytest.approx([0.0, 0.05 / np.sqrt(2)])


def test_projections_of_points_agree_until_a_camera_is_moved():
    poses = np.concatenate([arc(2, 40.0), np.tile([[[0.0, 0, 0, 1]]], (2, 1, 1))], axis=1)
    points = np.random.default_rng(0).uniform(0, 1, (50, 3))
    seen = [(points - pose[:3, 3]) @ pose[:3, :3] for pose in poses]
    first, second = (p[:, :2] / p[:, 2:] for p in seen)
    relative = np.linalg.inv(poses[1]) @ poses[0]
    assert sampson_errors(relative[:3], first, second).max() < 1e-12
    poses[1, 2, 3] += 0.3
    relative = np.linalg.inv(poses[1]) @ poses[0]
    assert np.median(sampson_errors(relative[:3], first, second)) > 0.01


def test_either_image_may_be_the_first():
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    relative = np.eye(4)
    relative[:3] = np.concatenate([turn * np.sign(np.linalg.det(turn)), rng.normal(size=(3, 1))], axis=1)
    first, second = rng.uniform(-0.5, 0.5, (2, 20, 2))
    there = sampson_errors(relative[:3], first, second)
    assert there == pytest.approx(sampson_errors(np.linalg.inv(relative)[:3], second, first))


def test_shares_count_a_match_for_both_photos_and_photos_without_pose_against_the_whole():
    found = Agreement(Counter(a=30, b=30), Counter(a=40, b=40), Counter(a=1, b=1), total=60)
    assert found.of_image("a") == 0.75
    assert found.of_image("c") == 1.0  # nothing speaks against it
    assert found.share_of_all == 0.5
    assert Agreement(Counter(), Counter(), Counter(), 0).share_of_all == 0.0
