"""instant-ngp's field."""

import math

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import HashEncodingConfig, SphericalHarmonicsConfig
from nerf_plugins.fields.nerf_hash import NeRFHash, NeRFHashConfig
from nerf_plugins.methods import nerf_hash
from nerf_plugins.rays import Points

ENCODING = HashEncodingConfig(n_levels=4, base_resolution=8, max_resolution=64, log2_table_size=12)


def inputs(n: int = 64) -> Points:
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(n, 3, generator=generator) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    return Points(positions, directions=directions)


def test_the_networks_are_instant_ngps_and_the_colour_sees_the_encoding_too():
    field = NeRFHash(NeRFHashConfig())
    table = int(field.encoding.config.levels().offsets[-1]) * 2
    density = 32 * 64 + 64 + 64 * 16 + 16
    color = (15 + 32 + 16) * 64 + 64 + 64 * 64 + 64 + 64 * 3 + 3
    assert sum(p.numel() for p in field.parameters()) == table + density + color


def test_ranges_shapes_and_the_density_it_starts_with():
    sigmas, rgbs = NeRFHash(NeRFHashConfig(encoding=ENCODING))(inputs())
    assert sigmas.shape == (64,)
    assert rgbs.shape == (64, 3)
    assert sigmas.dtype == rgbs.dtype == torch.float32
    assert ((rgbs > 0) & (rgbs < 1)).all()
    assert float(sigmas.log().mean()) == pytest.approx(-1.0, abs=0.3)


def test_density_alone_is_the_same():
    field = NeRFHash(NeRFHashConfig(encoding=ENCODING, precision="fp32"))
    torch.nn.init.normal_(field.encoding.table)
    points = inputs()
    torch.testing.assert_close(field.density(points), field(points)[0])


def test_density_does_not_depend_on_the_direction_but_color_does():
    field = NeRFHash(NeRFHashConfig(encoding=ENCODING, precision="fp32"))
    points = inputs()
    sigmas, rgbs = field(points)
    other_sigmas, other_rgbs = field(points._replace(directions=-points.directions))
    assert torch.equal(sigmas, other_sigmas)
    assert (rgbs - other_rgbs).abs().max() > 1e-3


def test_a_ball_is_learnt():
    """Density 20 inside radius 1/2, 0 outside; red above, blue below."""
    torch.manual_seed(0)
    field = NeRFHash(NeRFHashConfig(encoding=ENCODING))
    optimizer = torch.optim.Adam(field.parameters(), lr=1e-2, eps=1e-15)
    for _ in range(150):
        positions, directions = torch.rand(1024, 3) * 2 - 1, torch.nn.functional.normalize(torch.randn(1024, 3), dim=-1)
        inside, above = positions.norm(dim=-1) < 0.5, positions[:, 2] > 0
        sigmas, rgbs = field(Points(positions, directions=directions))
        colors = torch.where(above[:, None], torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 0, 1]))
        opacity = 1 - torch.exp(-0.1 * sigmas)
        loss = (opacity - inside * (1 - math.exp(-2))).square().mean() + (rgbs - colors).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    places = torch.tensor([[0.0, 0, 0.25], [0, 0, -0.25], [0.2, 0.2, 0.1], [0, 0, 0.8], [0.7, -0.5, 0.3]])
    sigmas, rgbs = field(Points(places, directions=torch.tensor([[0.0, 0, 1]]).expand(5, 3)))
    assert (sigmas[:3] > 10).all()
    assert (sigmas[3:] < 2).all()
    assert rgbs[0, 0] > 0.8 > 0.2 > rgbs[0, 2]
    assert rgbs[1, 2] > 0.8 > 0.2 > rgbs[1, 0]


def test_bf16_is_close_to_fp32_and_trains_fp32_weights():
    points = inputs(256)
    torch.manual_seed(0)
    exact = NeRFHash(NeRFHashConfig(encoding=ENCODING, precision="fp32"))
    torch.nn.init.uniform_(exact.encoding.table, -0.5, 0.5)
    rounded = NeRFHash(NeRFHashConfig(encoding=ENCODING, precision="bf16"))
    rounded.load_state_dict(exact.state_dict())
    outputs = exact(points), rounded(points)
    torch.testing.assert_close(outputs[1][0], outputs[0][0], rtol=0.05, atol=0)
    assert (outputs[0][1] - outputs[1][1]).abs().max() < 0.02
    for sigmas, rgbs in outputs:
        (sigmas.sum() + rgbs.sum()).backward()
    for name, parameter in exact.named_parameters():
        other = rounded.get_parameter(name).grad
        assert other.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(parameter.grad.flatten(), other.flatten(), dim=0) > 0.98, name


def test_a_huge_density_has_a_finite_gradient():
    field = NeRFHash(NeRFHashConfig(encoding=ENCODING, precision="fp32"))
    torch.nn.init.constant_(field.density_head.bias, 60.0)
    field(inputs())[0].sum().backward()
    assert field.encoding.table.grad.isfinite().all()
    assert field.encoding.table.grad.any()


def test_no_points():
    sigmas, rgbs = NeRFHash(NeRFHashConfig(encoding=ENCODING))(Points(torch.zeros(0, 3), directions=torch.zeros(0, 3)))
    assert sigmas.shape == (0,)
    assert rgbs.shape == (0, 3)


@pytest.mark.parametrize(
    "options",
    [{"width": 0}, {"color_layers": 0}, {"feature_width": 0}],
)
def test_bad_options_are_refused(options: dict):
    with pytest.raises(InputError, match=next(iter(options))):
        NeRFHashConfig(**options)


@pytest.mark.parametrize("degree", [0, 6])
def test_degrees_that_are_not_there_are_refused(degree: int):
    with pytest.raises(InputError, match=f"degree.*{degree}"):
        SphericalHarmonicsConfig(degree=degree)


def test_the_method_trains_this_field():
    config = nerf_hash.method.config
    assert config.method_name == "nerf-hash-custom"
    assert isinstance(config.pipeline.model.field, NeRFHashConfig)
    weights = [torch.nn.Parameter(torch.zeros(3))]
    optimizer = config.optimizers["fields"]["optimizer"].setup(weights)
    assert optimizer.defaults["fused"]
    assert optimizer.defaults["eps"] == 1e-15
