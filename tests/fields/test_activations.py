"""Activations beside torch's."""

import pytest
import torch
import torch.nn.functional as F

from nerf_plugins.fields.activations import softplus

VALUES = torch.tensor([-1e4, -90.0, -20.0, -1.0, -0.01, -1e-6, 0.0, 1e-6, 0.01, 1.0, 20.0, 90.0, 1e4])


@pytest.mark.parametrize("beta", [0.5, 1.0, 100.0])
def test_softplus_is_torchs_in_double_precision(beta):
    expected = torch.logaddexp(beta * VALUES.double(), torch.zeros(1, dtype=torch.float64)) / beta
    torch.testing.assert_close(softplus(VALUES, beta).double(), expected, rtol=2e-7, atol=2e-7 / beta)


def test_softplus_by_hand():
    assert float(softplus(torch.zeros(()), beta=2.0)) == pytest.approx(0.5 * 0.6931472)


@pytest.mark.parametrize("beta", [1.0, 100.0])
def test_derivatives_of_softplus(beta):
    x = VALUES.clone().requires_grad_()
    (slope,) = torch.autograd.grad(softplus(x, beta).sum(), x, create_graph=True)
    torch.testing.assert_close(slope, torch.sigmoid(beta * VALUES))
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    torch.testing.assert_close(curvature, beta * torch.sigmoid(beta * VALUES) * torch.sigmoid(-beta * VALUES))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_kept(dtype):
    x = VALUES.to(dtype)
    torch.testing.assert_close(softplus(x), F.softplus(x))


def test_what_is_not_finite():
    values = softplus(torch.tensor([torch.inf, -torch.inf, torch.nan]))
    assert values[0] == torch.inf
    assert values[1] == 0
    assert values[2].isnan()
