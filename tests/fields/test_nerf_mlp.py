import math

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings.frequency import encode
from nerf_plugins.fields.nerf_mlp import NeRFMLP, NeRFMLPConfig
from nerf_plugins.fields.precision import resolve_precision
from nerf_plugins.rays import Points


def inputs(n: int = 64) -> Points:
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(n, 3, generator=generator) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    return Points(positions, directions=directions)


def test_encoding_by_hand():
    # sin and cos of 2^k pi x at x = (0.5, 0.25, 0), k = 0, 1
    encoded = encode(torch.tensor([0.5, 0.25, 0.0]), 2)
    r = math.sqrt(0.5)
    expected = [0.5, 0.25, 0.0, 1.0, r, 0.0, 0.0, 1.0, 0.0, 0.0, r, 1.0, -1.0, 0.0, 1.0]
    assert torch.allclose(encoded, torch.tensor(expected), atol=1e-6)


def test_the_default_is_the_papers_network():
    # 63*256+256 + 3*(256*256+256)... with the skip into layer 5, the heads and the view branch: the original's 595,844 weights.
    trunk = 63 * 256 + 256 + 6 * (256 * 256 + 256) + (256 + 63) * 256 + 256
    heads = 256 + 1 + 256 * 256 + 256 + (256 + 27) * 128 + 128 + 128 * 3 + 3
    assert sum(p.numel() for p in NeRFMLP(NeRFMLPConfig()).parameters()) == trunk + heads == 595_844


def test_the_position_is_concatenated_after_layer_4():
    field = NeRFMLP(NeRFMLPConfig())
    first, second = field.trunk
    assert [layer.in_features for layer in first.layers] == [63, 256, 256, 256, 256]
    assert [layer.in_features for layer in second.layers] == [319, 256, 256]


def test_density_and_colour_ranges_and_shapes():
    sigmas, rgbs = NeRFMLP(NeRFMLPConfig(D=3, W=32, skips=(1,)))(inputs())
    assert sigmas.shape == (64,)
    assert rgbs.shape == (64, 3)
    assert (sigmas > 0).all()
    assert ((rgbs >= 0) & (rgbs <= 1)).all()


def test_density_alone_is_the_same():
    field = NeRFMLP(NeRFMLPConfig(D=3, W=32, skips=()))
    points = inputs()
    assert torch.equal(field.density(points), field(points)[0])


def test_density_does_not_depend_on_the_direction_but_colour_does():
    field = NeRFMLP(NeRFMLPConfig(D=2, W=32, skips=(), precision="fp32"))
    points = inputs()
    sigmas, rgbs = field(points)
    other_sigmas, other_rgbs = field(points._replace(directions=-points.directions))
    assert torch.equal(sigmas, other_sigmas)
    assert (rgbs - other_rgbs).abs().max() > 1e-3


def test_softplus_has_a_gradient_where_relu_has_none():
    points = inputs()
    gradients = {}
    for activation in ("softplus", "relu"):
        field = NeRFMLP(NeRFMLPConfig(D=2, W=16, skips=(), density_activation=activation, precision="fp32"))
        torch.nn.init.constant_(field.density_head.bias, -30.0)
        field(points)[0].sum().backward()
        gradients[activation] = float(field.density_head.weight.grad.abs().sum())
    assert gradients["relu"] == 0.0
    assert gradients["softplus"] > 0.0


def test_bf16_is_close_to_fp32_and_trains_fp32_weights():
    points = inputs(256)
    torch.manual_seed(0)
    exact = NeRFMLP(NeRFMLPConfig(precision="fp32"))
    rounded = NeRFMLP(NeRFMLPConfig(precision="bf16"))
    rounded.load_state_dict(exact.state_dict())
    outputs = exact(points), rounded(points)
    assert outputs[1][1].dtype == torch.float32
    assert (outputs[0][1] - outputs[1][1]).abs().max() < 0.02
    for sigmas, rgbs in outputs:
        (sigmas.sum() + rgbs.sum()).backward()
    for name, parameter in exact.named_parameters():
        other = rounded.get_parameter(name).grad
        cosine = torch.nn.functional.cosine_similarity(parameter.grad.flatten(), other.flatten(), dim=0)
        assert cosine > 0.98, name


def test_glorot_initialisation():
    field = NeRFMLP(NeRFMLPConfig())
    layer = field.trunk[0].layers[1]
    assert float(layer.weight.abs().max()) <= math.sqrt(6 / 512)
    assert float(layer.weight.std()) == pytest.approx(math.sqrt(2 / 512), rel=0.02)
    assert (layer.bias == 0).all()


def test_precision_by_name():
    assert resolve_precision("fp32", torch.device("cpu")) == torch.float32
    assert resolve_precision("bf16", torch.device("cpu")) == torch.bfloat16
    assert resolve_precision("auto", torch.device("cpu")) in (torch.float32, torch.bfloat16)


def test_no_points():
    sigmas, rgbs = NeRFMLP(NeRFMLPConfig())(Points(torch.zeros(0, 3), directions=torch.zeros(0, 3)))
    assert sigmas.shape == (0,)
    assert rgbs.shape == (0, 3)


def test_tcnn_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "tinycudann", None)
    with pytest.raises(InputError, match="tinycudann"):
        NeRFMLP(NeRFMLPConfig(implementation="tcnn"))


@pytest.mark.parametrize("options", [{"D": 0}, {"skips": (7,)}, {"skips": (-1,)}, {"skips": (4, 4)}])
def test_bad_options_are_refused(options: dict):
    with pytest.raises(InputError, match="field"):
        NeRFMLPConfig(**options)
