"""Products of padded layers are those of torch's layers, with the gradients that autograd has."""

import pytest
import torch
from torch import Tensor, nn

from nerf_plugins.fields import layers as layers_room
from nerf_plugins.fields.layers import (
    LinearLayers,
    Product,
    SkipLayers,
    _cast_together,
    _Product,
    _ReluProduct,
    linear,
    pad_columns,
)


def reference(x: Tensor, *layers: nn.Linear) -> tuple[Tensor, ...]:
    """Each layer by itself, on the columns that it knows; what is multiplied is rounded to x's dtype."""
    return tuple(x[:, : layer.in_features] @ layer.weight.to(x.dtype).t() + layer.bias.to(x.dtype) for layer in layers)


def as_on_cuda(x: Tensor, *layers: nn.Linear) -> tuple[Tensor, ...]:
    """The form that a GPU gets."""
    (factors,) = _cast_together([Product.of(layers, x.shape[1])], x.dtype)
    product = _Product.apply(x, factors.weight, factors.bias, *factors.learnt_biases)
    widths = [layer.out_features for layer in layers]
    return product.split([*widths, product.shape[1] - sum(widths)], dim=-1)[: len(layers)]  # type: ignore[union-attr]


@pytest.mark.parametrize("widths", [(64,), (3,), (1, 15), (1, 31)])
@pytest.mark.parametrize(("width_in", "columns"), [(32, 32), (31, 32), (20, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", [linear, as_on_cuda])
def test_linear_is_torchs(generator, form, dtype, width_in, columns, widths):
    torch.manual_seed(0)
    layers = [nn.Linear(width_in, width) for width in widths]
    x = torch.randn(50, columns, generator=generator)
    x[:, width_in:] = 0.0
    x = x.to(dtype)
    upstream = [torch.randn(50, width, generator=generator) for width in widths]
    results, gradients = [], []
    for function in (form, reference):
        x = x.detach().requires_grad_()
        outputs = function(x, *layers)
        loss = torch.stack([(y.float() * g).sum() for y, g in zip(outputs, upstream)]).sum()
        parameters = [parameter for layer in layers for parameter in layer.parameters()]
        results.append(outputs)
        gradients.append([g.float() for g in torch.autograd.grad(loss, [x, *parameters])])
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 3e-2, "atol": 6e-2}
    torch.testing.assert_close(*results, **tolerance)
    gradients[0][0] = gradients[0][0][:, :width_in]  # what the zero columns would change is nobody's
    gradients[1][0] = gradients[1][0][:, :width_in]
    torch.testing.assert_close(*gradients, **tolerance)
    assert all(layer.weight.dtype == torch.float32 for layer in layers)


def test_only_what_is_asked_for_gets_a_gradient():
    layer, x = nn.Linear(8, 4), torch.rand(5, 32, requires_grad=True)
    layer.requires_grad_(False)
    as_on_cuda(x, layer)[0].sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None
    layer.requires_grad_(True)
    as_on_cuda(x.detach(), layer)[0].sum().backward()
    torch.testing.assert_close(layer.bias.grad, torch.full((4,), 5.0))


@pytest.mark.parametrize("width", [64, 20])
def test_layers_with_relu(generator, width):
    torch.manual_seed(0)
    layers = LinearLayers(20, width, 2)
    first, second = layers.layers
    x = torch.randn(7, 20, generator=generator)
    torch.testing.assert_close(layers(pad_columns(x)), second(first(x).relu()).relu(), rtol=1e-4, atol=1e-5)


@pytest.fixture
def form_of_cuda(monkeypatch: pytest.MonkeyPatch):
    """What layers do on a GPU, on the CPU."""
    monkeypatch.setattr(layers_room, "padded_factors", lambda *a: iter(layers_room._cast_together(*a)))
    apply = lambda function: lambda x, f: function.apply(x, f.weight, f.bias, *f.learnt_biases)  # noqa: E731
    monkeypatch.setattr(layers_room, "multiply", apply(_Product))
    monkeypatch.setattr(layers_room, "multiply_relu", apply(_ReluProduct))


def step(layers: nn.Module, x: Tensor, upstream: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The output, and the gradients of the input and of all parameters."""
    x = x.detach().requires_grad_()
    output = layers(x)
    return output, list(torch.autograd.grad((output.float() * upstream).sum(), [x, *layers.parameters()]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [64, 20])
@pytest.mark.parametrize("n_rows", [7, 0])
def test_layers_in_the_form_of_cuda_are_those_of_the_cpu(request, generator, n_rows, width, dtype):
    """Layers that are cast together, of which some get columns and others do not, and the input concatenated again."""
    torch.manual_seed(0)
    layers = SkipLayers(20, width, 4, (1,))
    x = pad_columns(torch.randn(n_rows, 20, generator=generator)).to(dtype)
    upstream = torch.randn(n_rows, width, generator=generator)
    expected = step(layers, x, upstream)
    request.getfixturevalue("form_of_cuda")
    got = step(layers, x, upstream)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 3e-2, "atol": 3e-2}
    torch.testing.assert_close(got, expected, **tolerance)
    assert [gradient.dtype for gradient in got[1][1:]] == [torch.float32] * 8


def test_layers_by_hand_in_the_form_of_cuda(form_of_cuda):
    layers = LinearLayers(2, 2, 2)
    first, second = layers.layers
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, 0.0]]))
        first.bias.copy_(torch.tensor([0.5, 0.5]))
        second.weight.copy_(torch.tensor([[2.0, 1.0], [0.0, 1.0]]))
        second.bias.copy_(torch.tensor([0.0, -3.0]))
    # (1, 1) -> relu(3.5, -0.5) = (3.5, 0) -> relu(7, -3) = (7, 0)
    x = pad_columns(torch.tensor([[1.0, 1.0]]))
    output, gradients = step(layers, x, torch.ones(1, 2))
    assert output.tolist() == [[7.0, 0.0]]
    of_x, of_first, of_first_bias, of_second, of_second_bias = gradients
    assert of_x[0, :2].tolist() == [2.0, 4.0]
    assert of_first.tolist() == [[2.0, 2.0], [0.0, 0.0]]
    assert of_first_bias.tolist() == [2.0, 0.0]
    assert of_second.tolist() == [[3.5, 0.0], [0.0, 0.0]]
    assert of_second_bias.tolist() == [1.0, 0.0]


def test_layers_that_are_frozen_get_no_gradient_in_the_form_of_cuda(form_of_cuda):
    layers = LinearLayers(32, 32, 3)
    layers.layers[1].requires_grad_(False)
    layers(torch.rand(5, 32)).sum().backward()
    assert [parameter.grad is None for parameter in layers.parameters()] == [False, False, True, True, False, False]
