"""TensoRF's field."""

import math

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import FrequencyEncodingConfig, TensorEncodingConfig
from nerf_plugins.fields.tensorf import TensoRF, TensoRFConfig
from nerf_plugins.rays import Points

SMALL = {"n_features": 8, "start_resolution": 8, "resolution": 16}


def make(decomposition: str = "vm", **options) -> TensoRF:
    torch.manual_seed(0)
    tensor = TensorEncodingConfig(decomposition=decomposition, **SMALL)
    return TensoRFConfig(density_tensor=tensor, appearance_tensor=tensor, width=32, **options).setup()


def points(n: int = 64) -> Points:
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(n, 3, generator=generator) * 2 - 1
    return Points(positions, directions=torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1))


def test_the_density_by_hand():
    """24 products of 0.5 and 1 are 12; softplus(12 - 10) times 25."""
    field = make()
    with torch.no_grad():
        planes, lines = field.density_tensor.planes
        planes.fill_(0.5)
        lines.fill_(1.0)
    assert field.density(points())[0].item() == pytest.approx(25 * math.log1p(math.exp(2.0)), rel=1e-5)


@pytest.mark.parametrize("decomposition", ["vm", "cp"])
def test_ranges_shapes_and_that_the_density_is_one(decomposition):
    field = make(decomposition)
    sigmas, rgbs = field(points(50))
    assert sigmas.shape == (50,)
    assert rgbs.shape == (50, 3)
    assert sigmas.dtype == rgbs.dtype == torch.float32
    assert ((rgbs > 0) & (rgbs < 1)).all()
    torch.testing.assert_close(sigmas, field.density(points(50)))
    assert (sigmas < 0.01).all()  # hardly any before it learns


def test_the_color_sees_the_direction_and_the_density_does_not():
    field = make(precision="fp32")
    here = points()
    there = here._replace(directions=-here.directions)
    assert torch.equal(field(here)[0], field(there)[0])
    assert (field(here)[1] != field(there)[1]).any()


def test_directions_may_have_another_encoding():
    sigmas, rgbs = make(directions=FrequencyEncodingConfig(n_frequencies=2))(points())
    assert sigmas.isfinite().all()
    assert rgbs.isfinite().all()


def test_groups_and_parts():
    field = make()
    ids = {id(parameter) for parameter in field.parameters()}
    for owners in (field.param_groups(), field.parts()):
        assert {id(parameter) for group in owners.values() for parameter in group} == ids
    assert [p.shape[1] for p in field.param_groups()["tensors"]] == [8, 8]
    assert [id(p) for p in field.parts()["geometry"]] == [id(field.density_tensor.table)]


def test_losses_by_hand():
    field = make(sparsity_mult=2.0, density_tv_mult=3.0, appearance_tv_mult=1.0)
    with torch.no_grad():
        planes, lines = field.density_tensor.planes
        planes.fill_(-0.5)
        lines.fill_(0.25)
        field.appearance_tensor.table.zero_()
        field.appearance_tensor.planes[0][:, 3] = 1.0  # of 7 differences along the first axis 2 are 1
    losses = {name: float(loss) for name, loss in field.losses(points(), torch.ones(64)).items()}
    assert losses == pytest.approx({"sparsity": 2 * 0.75, "density_tv": 0.0, "appearance_tv": 2 / 7})
    assert make(sparsity_mult=0.0).losses(points(), torch.ones(64)) == {}
    lines = make("cp", sparsity_mult=0.0, density_tv_mult=1.0)
    with torch.no_grad():
        lines.density_tensor.planes[0].copy_(torch.arange(8.0)[:, None].expand(3, 8, 8))
    assert float(lines.losses(points(), torch.ones(64))["density_tv"]) == pytest.approx(1.0)


def test_it_learns_a_ball():
    """Dense within 0.5, empty without."""
    field, here = make(sparsity_mult=0.0), points(2000)
    wanted = (here.positions.norm(dim=-1) < 0.5).float() * 20
    optimizer = torch.optim.Adam(field.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        loss = (field.density(here) - wanted).abs().mean()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.5 * float(wanted.mean())


@pytest.mark.parametrize("options", [{"width": 0}, {"density_scale": 0.0}, {"sparsity_mult": -1.0}])
def test_options_are_checked(options):
    (name,) = options
    with pytest.raises(InputError, match=f"field: {name} must be"):
        TensoRFConfig(**options)
