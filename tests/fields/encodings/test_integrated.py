import math

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import FrequencyEncodingConfig, IntegratedEncodingConfig
from nerf_plugins.fields.encodings.integrated import icosahedron_directions

BASES = pytest.mark.parametrize("basis", ["axes", "icosahedron"])


def a_covariance(generator: torch.Generator) -> torch.Tensor:
    root = 0.3 * torch.randn(3, 3, generator=generator)
    return root @ root.T


@BASES
def test_features_are_their_means_over_the_gaussian(generator, basis: str):
    encoding = IntegratedEncodingConfig(n_frequencies=3, base_frequency=1.0, basis=basis).setup()
    mean, covariance = torch.tensor([[0.3, -0.2, 0.7]]), a_covariance(generator)
    root = torch.linalg.cholesky(covariance)
    around = mean + torch.randn(200_000, 3, generator=generator) @ root.T
    expected = encoding(around).mean(0)
    torch.testing.assert_close(encoding.integrated(mean, covariance[None])[0], expected, rtol=0, atol=0.01)
    assert expected.abs().max() > 0.3


def test_without_extent_it_is_the_positional_encoding(generator):
    x = torch.rand(20, 3, generator=generator) * 2 - 1
    plain = FrequencyEncodingConfig(n_frequencies=5).setup()(x)
    encoding = IntegratedEncodingConfig(n_frequencies=5).setup()
    torch.testing.assert_close(encoding.integrated(x, torch.zeros(20, 3, 3)), plain[:, 3:])
    torch.testing.assert_close(encoding.integrated(x, torch.zeros(20, 3, 3)), encoding(x))


def test_one_octave_by_hand():
    encoding = IntegratedEncodingConfig(n_frequencies=1, base_frequency=2.0).setup()
    covariance = torch.diag(torch.tensor([0.5, 0.0, 1.0]))
    features = encoding.integrated(torch.tensor([[math.pi / 4, math.pi / 4, 0.0]]), covariance[None])
    # exp(-1/2 2^2 variance): e^-1 along x, 1 along y, e^-2 along z.
    expected = [math.exp(-1), 1.0, 0.0, 0.0, 0.0, math.exp(-2)]
    assert features[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_what_is_finer_than_the_gaussian_is_gone():
    encoding = IntegratedEncodingConfig(n_frequencies=16).setup()
    features = encoding.integrated(torch.rand(1, 3), 0.1**2 * torch.eye(3)[None])[0].view(2, 16, 3)
    assert features[:, :2].abs().max() > 0.1
    assert (features[:, 6:] == 0).all()


def test_the_icosahedrons_directions_are_even_and_no_two_are_opposite():
    directions = icosahedron_directions()
    assert directions.shape == (21, 3)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(21))
    torch.testing.assert_close(directions.T @ directions, 7.0 * torch.eye(3), rtol=0, atol=1e-5)
    cosines = (directions @ directions.T).abs() - torch.eye(21)
    # Neighbours are between a corner and the middle of an edge: half of the angle between two corners.
    nearest = math.acos(float(cosines.max()))
    assert nearest == pytest.approx(0.5 * math.atan(2.0), abs=1e-5)


def test_only_the_icosahedron_sees_which_way_a_gaussian_lies():
    x = torch.tensor([[0.1, 0.2, 0.3]])
    tilted = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])[None] * 0.01
    other = tilted * torch.tensor([[1.0, -1, 0], [-1, 1, 0], [0, 0, 1]])  # mirrored: the same variances
    for basis, differs in (("axes", False), ("icosahedron", True)):
        encoding = IntegratedEncodingConfig(n_frequencies=4, basis=basis).setup()
        apart = (encoding.integrated(x, tilted) - encoding.integrated(x, other)).abs().max()
        assert (float(apart) > 0.05) == differs


@BASES
def test_gradients(generator, basis: str):
    encoding = IntegratedEncodingConfig(n_frequencies=2, base_frequency=1.0, basis=basis).setup().double()
    x = torch.rand(2, 3, generator=generator).double().requires_grad_()
    covariance = torch.stack([a_covariance(generator)] * 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, c: encoding.integrated(x, c, torch.float64), (x, covariance))


def test_what_is_wrong_is_named():
    with pytest.raises(InputError, match="n_frequencies"):
        IntegratedEncodingConfig(n_frequencies=0)
