"""Cameras for these tests, made of their positions only."""

import numpy as np

from nerf_plugins.camera_paths.poses import look_at

UP = np.array([0.0, 0.0, 1.0])


def looking_at(target, positions):
    """Camera-to-world matrices ``(n, 4, 4)``."""
    positions = np.asarray(positions, dtype=float)
    return look_at(positions, np.asarray(target, dtype=float), UP, np.tile([1.0, 0.0, 0.0], (len(positions), 1)))


def ring(target, radius, height, count):
    """Cameras on a level circle, looking at the target."""
    turn = 2.0 * np.pi * np.arange(count) / count
    offsets = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.full(count, height)], axis=1)
    return looking_at(target, target + offsets)


def assert_looks_at(poses, target, distances, tolerance=1e-9):
    """Views are rigid, right-handed, and the target is straight ahead of them, at the distances."""
    rotations = poses[:, :3, :3]
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (len(poses), 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    np.testing.assert_array_equal(poses[:, 3], np.tile([0.0, 0.0, 0.0, 1.0], (len(poses), 1)))
    in_camera = np.einsum("nji,nj->ni", rotations, target - poses[:, :3, 3])
    np.testing.assert_allclose(in_camera[:, :2], 0.0, atol=tolerance)
    np.testing.assert_allclose(-in_camera[:, 2], distances, rtol=tolerance)
