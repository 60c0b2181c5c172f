"""The distance of found poses from known ones."""

import numpy as np
import pytest

from nerf_plugins.geometry.poses import aligned_error
from tests.captures.made_scene import arc


def moved(poses: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """By a similarity."""
    found = poses.copy()
    found[:, :, :3] = rotation @ poses[:, :, :3]
    found[:, :, 3] = 2.5 * poses[:, :, 3] @ rotation.T + [1.0, -2.0, 0.5]
    return found


def test_a_similarity_is_no_error_and_a_mirror_image_is_one():
    true = arc(12)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    assert aligned_error(moved(true, rotation), true) < 1e-12
    assert aligned_error(moved(true, np.diag([1.0, 1.0, -1.0]) @ rotation), true) > 0.05


def test_the_error_is_the_largest_as_a_share_of_the_spread():
    """Of eight centres at the corners of a cube, one is a tenth further out; the similarity takes up a part of it."""
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), float).reshape(3, -1).T
    true = np.concatenate([np.tile(np.eye(3), (8, 1, 1)), corners[:, :, None]], axis=2)
    found = true.copy()
    found[0, :, 3] *= 1.1
    assert aligned_error(found, true) == pytest.approx(0.1, rel=0.35)
