"""Points moved by screws, against the matrix exponential."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from nerf_plugins.fields.warps.screw import Screw, ScrewConfig, move_by_screw
from nerf_plugins.rays import Points

ANGLES = [0.0, 1e-8, 1e-4, 0.03, 0.5, 0.999, 1.001, 2.0, 3.1, 7.0]


def exponential(r: np.ndarray, v: np.ndarray) -> np.ndarray:
    """exp of the 4x4 matrix of a screw."""
    x, y, z = r
    twist = np.zeros((4, 4))
    twist[:3, :3] = [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    twist[:3, 3] = v
    return expm(twist)


def screws(angle: float, n: int = 20) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, r, v = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for _ in range(3))
    return x, angle * torch.nn.functional.normalize(r, dim=-1), v


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 3e-6)])
def test_it_is_the_matrix_exponential(angle, dtype, tolerance):
    x, r, v = screws(angle)
    moved = move_by_screw(x.to(dtype), r.to(dtype), v.to(dtype))
    assert moved.dtype == dtype
    for i in range(len(x)):
        expected = exponential(r[i].numpy(), v[i].numpy()) @ np.append(x[i].numpy(), 1.0)
        np.testing.assert_allclose(moved[i].double().numpy(), expected[:3], atol=tolerance)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 0.5, 1.5])
def test_gradients_are_right_also_at_no_rotation(angle):
    x, r, v = (part.requires_grad_() for part in screws(angle, 3))
    assert torch.autograd.gradcheck(move_by_screw, (x, r, v))
    assert torch.autograd.gradgradcheck(move_by_screw, (x, r, v))


def test_gradients_are_finite_in_float32_at_no_rotation():
    r = torch.zeros(2, 3, requires_grad=True)
    x = torch.tensor([[1.0, 0, 0], [0, 2.0, 0]])
    move_by_screw(x, r, torch.zeros(2, 3)).sum().backward()
    # d(r cross x)/dr, summed over the coordinates, at r = 0: x cross (1, 1, 1).
    torch.testing.assert_close(r.grad, torch.linalg.cross(x, torch.ones(2, 3)))


def test_a_quarter_turn_by_hand():
    r, v = torch.tensor([[0.0, 0.0, torch.pi / 2]]), torch.tensor([[0.0, 0.0, 3.0]])
    torch.testing.assert_close(move_by_screw(torch.tensor([[1.0, 0, 0]]), r, v), torch.tensor([[0.0, 1.0, 3.0]]))


def test_the_warp_starts_as_the_identity():
    torch.manual_seed(0)
    warp = Screw(ScrewConfig(D=2, W=16, skips=()))
    points = Points(torch.rand(50, 3) * 2 - 1, times=torch.rand(50))
    assert (warp(points) - points.positions).abs().max() < 1e-2
