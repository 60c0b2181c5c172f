"""Spherical harmonics as one product are nerfstudio's formulae."""

import pytest
import torch
from nerfstudio.utils.math import components_from_spherical_harmonics

from nerf_plugins.fields.encodings import SphericalHarmonicsConfig


@pytest.mark.parametrize("degree", range(1, 6))
def test_values_and_gradients_are_nerfstudios(generator, degree):
    x = torch.nn.functional.normalize(torch.randn(200, 3, generator=generator), dim=-1).requires_grad_()
    encoding = SphericalHarmonicsConfig(degree=degree).setup()
    mine, theirs = encoding(x), components_from_spherical_harmonics(degree, x)
    assert mine.shape == (200, degree**2)
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=2e-6)
    if degree > 1:
        gradients = [torch.autograd.grad(y.sin().sum(), x)[0] for y in (mine, theirs)]
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_no_state_is_saved():
    assert not SphericalHarmonicsConfig().setup().state_dict()
