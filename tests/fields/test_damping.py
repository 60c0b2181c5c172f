"""What encodings and fields make of the size of a point."""

import math

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import (
    FrequencyEncodingConfig,
    HashEncodingConfig,
    SphericalHarmonicsConfig,
    TensorEncodingConfig,
)
from nerf_plugins.fields.k_planes import KPlanesConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.fields.proposal import ProposalFieldConfig
from nerf_plugins.rays import NOTHING, Points

SMALL = HashEncodingConfig(n_levels=3, base_resolution=4, max_resolution=16, log2_table_size=9, n_features=2)


def test_damped_sines_are_their_means_over_the_gaussian():
    encoding = FrequencyEncodingConfig(n_frequencies=3, base_frequency=1.0).setup()
    generator = torch.Generator().manual_seed(0)
    x, scale = torch.tensor([[0.3, -0.2, 0.7]]), 0.4
    around = x + scale * torch.randn(200_000, 3, generator=generator)
    damped = encoding(x) * encoding.damping(torch.tensor([scale]))
    torch.testing.assert_close(damped[0], encoding(around).mean(0), rtol=0, atol=0.01)


def test_hash_features_are_damped_by_their_level():
    encoding = SMALL.setup()
    damping = encoding.damping(torch.tensor([0.0, 0.25]))
    assert damping.shape == (2, encoding.width)
    assert (damping[0] == 1).all()
    # The coarsest level has 3 cells along the side of 2, so 1.5 along a unit.
    assert float(damping[1, 0]) == pytest.approx(math.erf(1 / math.sqrt(8 * 0.25**2 * 1.5**2)))
    assert (damping[1].diff()[1::2] < 0).all()
    assert torch.equal(damping[:, 0::2], damping[:, 1::2])


@pytest.mark.parametrize("config", [NeRFHashConfig(encoding=SMALL, cones=True), ProposalFieldConfig(encoding=SMALL)])
def test_fields_see_less_detail_in_large_points(config):
    torch.manual_seed(0)
    field = config.setup()
    field.requires_grad_(False)
    torch.nn.init.normal_(field.encoding.table)
    assert field.needs == {"scales"}
    positions = 2 * torch.rand(500, 3) - 1

    def spread(scale: float) -> float:
        return float(field.density(Points(positions, scales=torch.full((500,), scale))).log().std())

    plain = float(field.density(Points(positions)).log().std())
    assert spread(0.0) == pytest.approx(plain, rel=1e-4)
    assert spread(10.0) < 0.1 * spread(0.3) < 0.1 * spread(0.0)


def test_fields_that_do_not_care_ask_for_nothing():
    assert NeRFHashConfig(encoding=SMALL).setup().needs == NOTHING
    assert ProposalFieldConfig(encoding=SMALL, cones=False).setup().needs == NOTHING


@pytest.mark.parametrize(
    "config",
    [
        NeRFHashConfig(encoding=SphericalHarmonicsConfig(), cones=True),
        NeRFHashConfig(encoding=TensorEncodingConfig(), cones=True),
        KPlanesConfig(cones=True),
        ProposalFieldConfig(encoding=SphericalHarmonicsConfig()),
    ],
)
def test_an_encoding_that_cannot_say_is_named(config):
    with pytest.raises(InputError, match=f"cones is True, but {config.encoding.setup().__class__.__name__} does not"):
        config.setup()
