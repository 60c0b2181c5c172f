import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import frequency
from nerf_plugins.fields.neus_mlp import NeuSMLP, NeuSMLPConfig
from nerf_plugins.rays import Points

SMALL = {"D": 3, "W": 48, "skips": (1,), "color_layers": 2, "color_width": 32, "precision": "fp32"}


def make_field(perturbed: bool = True, **options) -> NeuSMLP:
    """A field; perturbed, so that nothing is zero as it is at the start."""
    torch.manual_seed(0)
    field = NeuSMLP(NeuSMLPConfig(**{**SMALL, **options}))
    if perturbed:
        with torch.no_grad():
            for parameter in field.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter) * parameter.abs().mean())
    return field


def points(n: int = 200) -> Points:
    generator = torch.Generator().manual_seed(1)
    positions = torch.rand(n, 3, generator=generator) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    return Points(positions, directions=directions)


@pytest.mark.parametrize("options", [{}, {"skips": ()}, {"skips": (1, 2)}, {"position_frequencies": 0}])
def test_gradients_are_autograds(options: dict):
    field, positions = make_field(**options), points().positions
    positions.requires_grad_()
    (expected,) = torch.autograd.grad(field.sdf(Points(positions)).sum(), positions)
    gradients = field.geometry(Points(positions)).gradients
    assert float(((gradients - expected).norm() / expected.norm()).detach()) < 1e-5


def test_gradients_are_those_of_the_distance():
    field, positions = make_field(position_frequencies=2).double(), points(20).positions
    positions, step = positions.double(), 1e-5
    for axis, offset in enumerate(step * torch.eye(3, dtype=torch.float64)):
        slope = (field.sdf(Points(positions + offset)) - field.sdf(Points(positions - offset))) / (2 * step)
        assert torch.allclose(field.geometry(Points(positions)).gradients[:, axis], slope, atol=1e-5)


@pytest.mark.parametrize("skips", [(), (1, 2)])
def test_an_eikonal_loss_trains_as_by_autograds_double_backward(skips: tuple[int, ...]):
    positions = points().positions
    losses, fields = [], []
    for explicit in (True, False):
        field, x = make_field(skips=skips).double(), positions.double().requires_grad_()
        if explicit:
            gradients = field.geometry(Points(x)).gradients
        else:
            (gradients,) = torch.autograd.grad(field.sdf(Points(x)).sum(), x, create_graph=True)
        loss = ((gradients.norm(dim=-1) - 1) ** 2).mean()
        loss.backward()
        losses.append(float(loss.detach()))
        fields.append(field)
    assert losses[0] == pytest.approx(losses[1], rel=1e-7)
    n_trained = 0
    for name, parameter in fields[0].named_parameters():
        expected = fields[1].get_parameter(name).grad
        if expected is None:  # the colour's
            assert parameter.grad is None, name
            continue
        # torch's softplus is a straight line beyond z = 20 / beta, our slope is the sigmoid: they differ by 1e-9.
        atol = 1e-5 * float(expected.abs().max())
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-5, atol=atol, msg=name)
        n_trained += bool(expected.abs().sum() > 0)
    # Magnitude and direction of each layer and of the head, and all biases but the head's.
    assert n_trained == 3 * 3 + 2


def test_a_point_does_not_depend_on_its_company():
    field, seen = make_field(), points(1100)
    geometry = field.geometry(seen)
    alone = field.geometry(seen.part(slice(7, 8)))
    for one, all_of_them in zip(alone, geometry):
        assert torch.allclose(one[0], all_of_them[7], atol=1e-5)
    colour = field.color(seen, geometry)[7]
    assert torch.allclose(field.color(seen.part(slice(7, 8)), alone)[0], colour, atol=1e-5)


def test_encoded_frequencies_start_without_influence(monkeypatch: pytest.MonkeyPatch):
    field, positions = make_field(perturbed=False), points().positions
    expected = field.sdf(Points(positions))

    def without_frequencies(x: torch.Tensor, n_frequencies: int, base_frequency: float) -> torch.Tensor:
        return torch.cat([x, torch.full((len(x), 6 * n_frequencies), 7.0)], dim=-1)

    monkeypatch.setattr(frequency, "encode", without_frequencies)
    torch.testing.assert_close(field.sdf(Points(positions)), expected)
    monkeypatch.setattr(frequency, "encode", lambda x, *a: without_frequencies(x, *a).flip(-1))
    assert not torch.allclose(field.sdf(Points(positions)), expected)  # the position has influence


def test_colour_sees_direction_gradient_and_feature():
    field, seen = make_field(), points()
    geometry = field.geometry(seen)
    rgbs = field.color(seen, geometry)
    assert ((rgbs >= 0) & (rgbs <= 1)).all()
    for other in (
        field.color(seen._replace(directions=-seen.directions), geometry),
        field.color(seen, geometry._replace(gradients=-geometry.gradients)),
        field.color(seen, geometry._replace(features=geometry.features + 1)),
        field.color(seen._replace(positions=seen.positions + 0.5), geometry),
    ):
        assert (rgbs - other).abs().max() > 1e-4


def test_colour_trains_the_shape():
    field, seen = make_field(), points()
    field.color(seen, field.geometry(seen)).sum().backward()
    for layer in [*field.layers, field.head, *field.color_layers, field.color_head]:
        for parameter in layer.parameters():
            assert parameter.grad.isfinite().all()
            assert parameter.grad.abs().sum() > 0


def test_bf16_colours_are_close_and_distances_the_same():
    seen = points()
    exact, rounded = make_field(), make_field(precision="bf16")
    assert torch.equal(exact.sdf(seen), rounded.sdf(seen))
    colours = [field.color(seen, field.geometry(seen)) for field in (exact, rounded)]
    assert colours[1].dtype == torch.float32
    assert (colours[0] - colours[1]).abs().max() < 0.02


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"W": 1, "skips": ()}, "W=1"),
        ({"color_layers": 0}, "color_layers=0"),
        ({"color_width": 1}, "color_width=1"),
        ({"skips": (0,)}, r"skips.*\(0,\)"),
        ({"skips": (4, 4)}, r"skips.*\(4, 4\)"),
        ({"W": 39}, "W=39"),
        ({"radius": 0.0}, "radius.*0.0"),
    ],
)
def test_bad_options_are_named(options: dict, said: str):
    with pytest.raises(InputError, match=said):
        NeuSMLPConfig(**options)
