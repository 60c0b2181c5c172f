import pytest
import torch
import torch.nn.functional as F

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import IntegratedEncodingConfig
from nerf_plugins.fields.mip_nerf import MipNeRF, MipNeRFConfig
from nerf_plugins.fields.proposal import ProposalFieldConfig
from nerf_plugins.rays import Points

SMALL = {"D": 2, "W": 32, "skips": (), "position_frequencies": 8, "precision": "fp32"}


def make(**options) -> MipNeRF:
    torch.manual_seed(0)
    return MipNeRFConfig(**SMALL | options).setup().requires_grad_(False)


def points(scale: float, n: int = 200) -> Points:
    generator = torch.Generator().manual_seed(0)
    positions = 2 * torch.rand(n, 3, generator=generator) - 1
    directions = F.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    return Points(positions, directions=directions, covariances=scale**2 * torch.eye(3).expand(n, 3, 3))


@pytest.mark.parametrize("field", [make(), ProposalFieldConfig(IntegratedEncodingConfig(), n_layers=2).setup()])
def test_large_points_look_the_same_everywhere(field):
    assert field.needs == {"covariances"}
    small, large = (field.density(points(scale)).detach() for scale in (0.0, 10.0))
    assert large.std() < 1e-3 * small.std()


def test_the_density_starts_thin_and_colours_reach_beyond_their_range():
    field = make(color_padding=0.25)
    for layer in (field.density_head, field.color_head):
        torch.nn.init.zeros_(layer.weight)
    field.color_head.bias.copy_(torch.tensor([-100.0, 0.0, 100.0]))
    sigmas, rgbs = field(points(0.01, 1))
    assert float(sigmas) == pytest.approx(float(F.softplus(torch.tensor(-1.0))))
    assert rgbs[0].tolist() == pytest.approx([-0.25, 0.5, 1.25])


def test_the_basis_makes_the_encoding_wider():
    assert make().positions.width == 2 * 8 * 3
    assert make(basis="icosahedron").positions.width == 2 * 8 * 21


def test_a_padding_below_zero_is_named():
    with pytest.raises(InputError, match="color_padding"):
        MipNeRFConfig(color_padding=-1.0)
