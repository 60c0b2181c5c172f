"""What holds for every signed distance field."""

import math
from dataclasses import replace

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.encodings.frequency import encode, encode_backward
from nerf_plugins.fields.neus_hash import NeuSHash, NeuSHashConfig
from nerf_plugins.fields.neus_mlp import NeuSMLP, NeuSMLPConfig
from nerf_plugins.fields.sdf import SDFField, SDFFieldConfig, Variance
from nerf_plugins.rays import Points

ENCODING = HashEncodingConfig(
    n_levels=4, base_resolution=4, max_resolution=32, log2_table_size=10, interpolation="smoothstep", start_levels=2
)
SMALL: dict[str, SDFFieldConfig] = {
    "mlp": NeuSMLPConfig(D=4, W=64, skips=(2,), color_layers=2, color_width=32, precision="fp32"),
    "hash": NeuSHashConfig(encoding=ENCODING, width=32, precision="fp32"),
    "hash, half table": NeuSHashConfig(encoding=replace(ENCODING, precision="fp16"), width=32, precision="fp32"),
}


def make(name: str, noise: float = 0.0) -> SDFField:
    torch.manual_seed(0)
    field = SMALL[name].setup()
    with torch.no_grad():
        for parameter in field.parameters():
            parameter += noise * torch.randn_like(parameter)
    return field


def points(n: int = 64) -> torch.Tensor:
    return torch.rand(n, 3, generator=torch.Generator().manual_seed(3)) * 1.6 - 0.8


@pytest.mark.parametrize("name", SMALL)
def test_gradients_are_those_of_autograd(name: str):
    field, x = make(name, noise=0.05), points().requires_grad_()
    (expected,) = torch.autograd.grad(field.sdf(Points(x)).sum(), x)
    geometry = field.geometry(Points(points()))
    torch.testing.assert_close(geometry.gradients, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(geometry.sdf, field.sdf(Points(points())))
    with torch.no_grad():
        torch.testing.assert_close(field.geometry(Points(points())).gradients, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_an_eikonal_loss_has_the_parameter_gradients_of_double_backward(name: str):
    field, x = make(name, noise=0.05), points().requires_grad_()
    (gradients,) = torch.autograd.grad(field.sdf(Points(x)).sum(), x, create_graph=True)
    ((gradients.norm(dim=-1) - 1) ** 2).mean().backward()
    expected = {key: p.grad.clone() for key, p in field.named_parameters() if p.grad is not None}
    field.zero_grad()
    ((field.geometry(Points(points())).gradients.norm(dim=-1) - 1) ** 2).mean().backward()
    assert any(float(grad.abs().max()) > 1e-3 for grad in expected.values())
    for key, p in field.named_parameters():
        if key in expected:
            assert p.grad is not None
            scale = float(expected[key].abs().max()) + 1e-6
            assert float((p.grad - expected[key]).abs().max()) < 1e-3 * scale, key


@pytest.mark.parametrize("cls", [NeuSMLPConfig, NeuSHashConfig])
@pytest.mark.parametrize(("radius", "inside_out"), [(0.3, False), (0.5, False), (0.8, False), (0.8, True)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_starts_as_a_sphere(cls: type, radius: float, inside_out: bool, seed: int):
    """Of the right radius on average over all directions; one draw of weights makes it uneven by some tens of percent."""
    torch.manual_seed(seed)
    field = cls(radius=radius, inside_out=inside_out).setup()
    sign = -1.0 if inside_out else 1.0
    directions = torch.nn.functional.normalize(torch.randn(64, 3), dim=-1)
    radii = torch.linspace(0.0, 1.4, 141)
    with torch.no_grad():
        values = sign * field.sdf(Points((radii[:, None, None] * directions).view(-1, 3))).view(141, 64)
        gradients = sign * field.geometry(Points(radius * directions)).gradients
    assert (values[0] < 0).all()
    assert (values[-1] > 0).all()
    crossings = (values < 0).sum(0) * radii[1]
    assert float(crossings.mean()) == pytest.approx(radius, rel=0.1)
    assert float(crossings.std()) < 0.35 * radius
    # Near the middle the softplus rounds the cone off.
    assert float(gradients.norm(dim=-1).mean()) == pytest.approx(1.0, rel=0.25 if radius > 0.3 else 0.5)
    assert float((gradients * directions).sum(-1).min()) > 0.3  # outwards, or inwards for a room


@pytest.mark.parametrize("name", SMALL)
def test_colours_are_colours_and_no_points_are_no_trouble(name: str):
    field, x = make(name, noise=0.05), points()
    directions = torch.nn.functional.normalize(points(), dim=-1)
    colors = field.color(Points(x, directions=directions), field.geometry(Points(x)))
    assert colors.shape == x.shape
    assert float(colors.min()) >= 0
    assert float(colors.max()) <= 1
    assert float(colors.std()) > 0
    none = torch.zeros(0, 3)
    assert field.color(Points(none, directions=none), field.geometry(Points(none))).shape == (0, 3)
    assert field.sdf(Points(none)).shape == (0,)


def test_progress_switches_on_the_levels_of_the_hash():
    field = make("hash", noise=0.05)
    assert isinstance(field, NeuSHash)
    field.set_progress(0.0)
    assert field.encoding.n_active_levels == 2
    coarse = field.sdf(Points(points()))
    field.set_progress(1.0)
    assert field.encoding.n_active_levels == 4
    assert not torch.allclose(coarse, field.sdf(Points(points())))


def test_the_encodings_backward_is_autograds():
    x = points().requires_grad_()
    grad = torch.randn(64, 3 + 6 * 5, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad(encode(x, 5, 1.0), x, grad)
    torch.testing.assert_close(encode_backward(points(), grad, 5, 1.0), expected, atol=1e-4, rtol=1e-4)


def test_the_variance_is_the_papers():
    variance = Variance(0.25)
    assert variance().item() == pytest.approx(math.exp(2.5), rel=1e-6)
    variance().backward()
    assert variance.v.grad.item() == pytest.approx(10 * math.exp(2.5), rel=1e-6)


@pytest.mark.parametrize("v", [-100.0, -1.4, 1.4, 100.0])
def test_the_variance_at_its_limits_has_finite_gradients(v: float):
    variance = Variance(v)
    inv_s = variance()
    assert inv_s.item() == pytest.approx(1e6 if v > 0 else 1e-6, rel=1e-4)
    inv_s.backward()
    assert variance.v.grad.isfinite()


def test_bad_options_of_the_hash():
    with pytest.raises(InputError, match="start_levels must be >= 1, got 0"):
        HashEncodingConfig(start_levels=0)


def test_parameters_of_the_papers_mlp():
    # Distance: 39x256, two of 256x256, 256x217, four of 256x256, 256x257; colour: 289x256, three of 256x256, 256x3; a scale per output.
    shapes = [(39, 256), *[(256, 256)] * 2, (256, 217), *[(256, 256)] * 4, (256, 257)]
    shapes += [(6 + 27 + 256, 256), *[(256, 256)] * 3, (256, 3)]
    assert sum(p.numel() for p in NeuSMLP(NeuSMLPConfig()).parameters()) == sum((a + 2) * b for a, b in shapes)
