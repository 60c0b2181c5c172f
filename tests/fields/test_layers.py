"""Products of padded layers are those of torch's layers, with the gradients that autograd has."""

import pytest
import torch
from torch import Tensor, nn

from nerf_plugins.fields.layers import LinearLayers, _PaddedProduct, linear, pad_columns


def reference(x: Tensor, *layers: nn.Linear) -> tuple[Tensor, ...]:
    """Each layer by itself, on the columns that it knows; what is multiplied is rounded to x's dtype."""
    return tuple(x[:, : layer.in_features] @ layer.weight.to(x.dtype).t() + layer.bias.to(x.dtype) for layer in layers)


def as_on_cuda(x: Tensor, *layers: nn.Linear) -> tuple[Tensor, ...]:
    """The form that a GPU gets."""
    product = _PaddedProduct.apply(x, *(layer.weight for layer in layers), *(layer.bias for layer in layers))
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
