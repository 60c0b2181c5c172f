"""Cameras that are sound, but hardly meant, in rings of known ones."""

import numpy as np
import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType

from nerf_plugins.data.odd_cameras import angles_to, averted_cameras, camera_remarks, far_cameras, focus
from tests.data.datasets import H, W, pose


def ring(n: int = 12, offset: float = 0.0) -> torch.Tensor:
    """Around a point, which they look at."""
    poses = torch.from_numpy(np.stack([pose(k, n)[:3] for k in range(n)]))
    poses[:, :, 3] += offset
    return poses


def turned_round(poses: torch.Tensor, which: list[int]) -> torch.Tensor:
    """Half a turn about their own y axes."""
    poses = poses.clone()
    poses[which] = poses[which] * torch.tensor([-1.0, 1.0, -1.0, 1.0])
    return poses


def remarks(poses: torch.Tensor, distortion: list[float] | None = None, kind: CameraType = CameraType.PERSPECTIVE):
    cameras = Cameras(
        camera_to_worlds=poses.float(),
        fx=50.0,
        fy=50.0,
        cx=W / 2,
        cy=H / 2,
        width=W,
        height=H,
        distortion_params=None if distortion is None else torch.tensor(distortion).expand(len(poses), 6),
        camera_type=kind,
    )
    return camera_remarks([cameras[i] for i in range(len(poses))], [f"{i}.png" for i in range(len(poses))])


def test_the_focus_is_found_in_spite_of_strays():
    poses = turned_round(ring(offset=5.0), [])
    poses[3, :, 2] = torch.tensor([0.0, 1.0, 0.0], dtype=poses.dtype)
    torch.testing.assert_close(focus(poses), torch.full((3,), 5.0, dtype=poses.dtype), atol=1e-6, rtol=0)


def test_angles_are_those_to_the_axes():
    poses = turned_round(ring(4), [1])
    origin = torch.zeros(3, dtype=poses.dtype)
    assert angles_to(origin, poses).tolist() == pytest.approx([0.0, 180.0, 0.0, 0.0], abs=1e-5)
    assert angles_to(poses[2, :, 3], poses)[2] == 0.0  # it stands there


def test_the_few_that_look_away_are_named():
    assert averted_cameras(turned_round(ring(), [7])) == [7]
    assert averted_cameras(ring()) == []
    assert averted_cameras(turned_round(ring(), [1, 3, 5, 7])) == []  # nothing in common
    assert any("1 of 12 cameras look away" in line and "7.png" in line for line in remarks(turned_round(ring(), [7])))
    assert remarks(ring()) == []


def test_parallel_axes_are_not_odd():
    poses = torch.eye(4, dtype=torch.float64)[:3].repeat(8, 1, 1)
    poses[:, 0, 3] = torch.arange(8)
    assert remarks(poses) == []


def test_axes_that_meet_behind_all_cameras_are_said():
    (line,) = remarks(turned_round(ring(), list(range(12))))
    assert "axes meet behind them" in line


def test_a_camera_far_out():
    poses = ring()
    poses[2, :, 3] *= 1000
    assert far_cameras(poses[:, :, 3]) == [2]
    assert any(line.startswith("The camera of 2.png stands ") for line in remarks(poses))


@pytest.mark.parametrize("distortion", [[0.1, -0.02, 0.0, 0.0, 0.001, 0.0], [-0.2, 0.02, 0.0, 0.0, 0.0, 0.002]])
def test_usual_distortion_is_undone(distortion):
    assert remarks(ring(), distortion) == []


def test_distortion_that_folds_the_image_is_said():
    (line,) = remarks(ring(), [-5.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert "k1 k2 k3 k4 p1 p2: -5, 0" in line
    assert "cannot be undone" in line


def test_a_fourth_term_belongs_to_a_fisheye():
    (line,) = remarks(ring(), [0.1, 0.0, 0.0, 0.01, 0.0, 0.0])
    assert "k4 = 0.01 and is no fisheye" in line
    assert remarks(ring(), [0.1, 0.0, 0.0, 0.01, 0.0, 0.0], CameraType.FISHEYE) == []
