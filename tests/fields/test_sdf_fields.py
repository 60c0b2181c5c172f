"""What holds for every signed distance field."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encoding import encode, encode_backward
from nerf_plugins.fields.hash_encoding import HashEncodingConfig
from nerf_plugins.fields.neus_hash import NeuSHash, NeuSHashConfig
from nerf_plugins.fields.neus_mlp import NeuSMLP, NeuSMLPConfig
from nerf_plugins.fields.sdf import SDFField, SDFFieldConfig, Variance

ENCODING = HashEncodingConfig(
    n_levels=4, base_resolution=4, max_resolution=32, log2_table_size=10, interpolation="smoothstep"
)
SMALL: dict[str, SDFFieldConfig] = {
    "mlp": NeuSMLPConfig(D=4, W=64, skips=(2,), color_layers=2, color_width=32, precision="fp32"),
    "hash": NeuSHashConfig(encoding=ENCODING, width=32, start_levels=2, precision="fp32"),
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
    (expected,) = torch.autograd.grad(field.sdf(x).sum(), x)
    geometry = field.geometry(points())
    torch.testing.assert_close(geometry.gradients, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(geometry.sdf, field.sdf(points()))
    with torch.no_grad():
        torch.testing.assert_close(field.geometry(points()).gradients, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_an_eikonal_loss_has_the_parameter_gradients_of_double_backward(name: str):
    field, x = make(name, noise=0.05), points().requires_grad_()
    (gradients,) = torch.autograd.grad(field.sdf(x).sum(), x, create_graph=True)
    ((gradients.norm(dim=-1) - 1) ** 2).mean().backward()
    expected = {key: p.grad.clone() for key, p in field.named_parameters() if p.grad is not None}
    field.zero_grad()
    ((field.geometry(points()).gradients.norm(dim=-1) - 1) ** 2).mean().backward()
    assert any(float(grad.abs().max()) > 1e-3 for grad in expected.values())
    for key, p in field.named_parameters():
        if key in expected:
            assert p.grad is not None
            scale = float(expected[key].abs().max()) + 1e-6
            assert float((p.grad - expected[key]).abs().max()) < 1e-3 * scale, key


@pytest.mark.parametrize("config", [NeuSMLPConfig(), NeuSHashConfig()], ids=["mlp", "hash"])
def test_starts_as_a_sphere(config: SDFFieldConfig):
    torch.manual_seed(0)
    field = config.setup()
    directions = torch.nn.functional.normalize(torch.randn(200, 3), dim=-1)
    with torch.no_grad():
        inside, outside = field.sdf(0.2 * directions), field.sdf(0.9 * directions)
        gradients = field.geometry(0.5 * directions).gradients
    assert float(inside.max()) < 0 < float(outside.min())
    assert float((gradients * directions).sum(-1).mean()) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("cls", [NeuSMLPConfig, NeuSHashConfig])
def test_inside_out_is_hollow(cls: type):
    torch.manual_seed(0)
    field = cls(inside_out=True).setup()
    with torch.no_grad():
        assert float(field.sdf(torch.zeros(1, 3))) > 0 > float(field.sdf(torch.tensor([[0.9, 0.0, 0.0]])))


@pytest.mark.parametrize("name", SMALL)
def test_colours_are_colours_and_no_points_are_no_trouble(name: str):
    field, x = make(name, noise=0.05), points()
    directions = torch.nn.functional.normalize(points(), dim=-1)
    colors = field.color(x, directions, field.geometry(x))
    assert colors.shape == x.shape
    assert float(colors.min()) >= 0
    assert float(colors.max()) <= 1
    assert float(colors.std()) > 0
    none = torch.zeros(0, 3)
    assert field.color(none, none, field.geometry(none)).shape == (0, 3)
    assert field.sdf(none).shape == (0,)


def test_progress_switches_on_the_levels_of_the_hash():
    field = make("hash", noise=0.05)
    assert isinstance(field, NeuSHash)
    field.set_progress(0.0)
    assert field.encoding.n_active_levels == 2
    coarse = field.sdf(points())
    field.set_progress(1.0)
    assert field.encoding.n_active_levels == 4
    assert not torch.allclose(coarse, field.sdf(points()))


def test_the_encodings_backward_is_autograds():
    x = points().requires_grad_()
    grad = torch.randn(64, 3 + 6 * 5, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad(encode(x, 5, 1.0), x, grad)
    torch.testing.assert_close(encode_backward(points(), grad, 5, 1.0), expected, atol=1e-4, rtol=1e-4)


def test_variance_starts_at_20():
    assert float(Variance(0.3)()) == pytest.approx(20.0855, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"D": 1}, "D must be >= 2"),
        ({"skips": (8,)}, "skips must be different and lie in"),
        ({"radius": 1.5}, r"radius must be in \(0, 1\), got 1.5"),
        ({"W": 32}, "W must exceed the encoded position's width"),
    ],
)
def test_bad_options_of_the_mlp(options: dict, message: str):
    with pytest.raises(InputError, match=message):
        NeuSMLPConfig(**options)


def test_bad_options_of_the_hash():
    with pytest.raises(InputError, match=r"start_levels must be in \[1, 16\], got 17"):
        NeuSHashConfig(start_levels=17)


def test_parameters_of_the_papers_mlp():
    # Distance: 39x256, two of 256x256, 256x217, four of 256x256, 256x257; colour: 289x256, three of 256x256, 256x3; a scale per output.
    shapes = [(39, 256), *[(256, 256)] * 2, (256, 217), *[(256, 256)] * 4, (256, 257)]
    shapes += [(6 + 27 + 256, 256), *[(256, 256)] * 3, (256, 3)]
    assert sum(p.numel() for p in NeuSMLP(NeuSMLPConfig()).parameters()) == sum((a + 2) * b for a, b in shapes)
