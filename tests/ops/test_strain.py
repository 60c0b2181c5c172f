"""Strains of Jacobians, against numpy's singular values."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from nerf_plugins.ops import log_strain


def matrices(scale: float, n: int = 600) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.eye(3) + scale * torch.randn(n, 3, 3, generator=generator)


def turned(stretch: list[float]) -> torch.Tensor:
    rotations = torch.from_numpy(Rotation.random(50, random_state=0).as_matrix()).float()
    others = torch.from_numpy(Rotation.random(50, random_state=1).as_matrix()).float()
    return rotations @ torch.diag(torch.tensor(stretch)) @ others


def test_rotations_have_none():
    assert log_strain(turned([1.0, 1.0, 1.0])).abs().max() < 1e-10


@pytest.mark.parametrize("stretch", [[2.0, 2.0, 2.0], [0.5, 1.0, 3.0], [1.0, 1.0, 1.1], [1.0, 2.0, -3.0]])
def test_by_hand(stretch):
    expected = sum(np.log(abs(s)) ** 2 for s in stretch)
    torch.testing.assert_close(log_strain(turned(stretch)), torch.full((50,), expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 0.03, 0.3])
def test_it_is_that_of_the_singular_values(scale):
    jacobians = matrices(scale)
    sizes = np.linalg.svd(jacobians.double().numpy(), compute_uv=False)
    np.testing.assert_allclose(log_strain(jacobians).numpy(), (np.log(sizes) ** 2).sum(1), rtol=1e-3, atol=1e-8)


def test_gradients_are_those_of_torchs_decomposition():
    mine, theirs = matrices(0.2).requires_grad_(), matrices(0.2).double().requires_grad_()
    log_strain(mine).sum().backward()
    torch.linalg.svdvals(theirs).log().square().sum().backward()
    ratio = (mine.grad - theirs.grad).flatten(1).norm(dim=1) / theirs.grad.flatten(1).norm(dim=1)
    assert ratio.median() < 1e-5
    assert ratio.max() < 1e-2


def test_equal_singular_values_have_a_gradient():
    jacobians = (2.0 * torch.eye(3)[None]).requires_grad_()
    log_strain(jacobians).sum().backward()
    torch.testing.assert_close(jacobians.grad, float(np.log(2.0)) * torch.eye(3)[None], atol=1e-5, rtol=0)


def test_flat_ones_are_finite():
    jacobians = torch.stack([torch.zeros(3, 3), torch.diag(torch.tensor([1.0, 1.0, 0.0]))]).requires_grad_()
    strains = log_strain(jacobians)
    strains.sum().backward()
    torch.testing.assert_close(strains, np.log(1e-6) ** 2 * torch.tensor([3.0, 1.0]))
    assert jacobians.grad.isfinite().all()


def test_none():
    assert log_strain(torch.zeros(0, 3, 3)).shape == (0,)
