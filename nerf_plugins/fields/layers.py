"""Linear layers in the shapes that matrix units like: widths padded to multiples of 32, rows on the CPU to multiples of 1024."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.fields.encodings.base import Encoding
from nerf_plugins.fields.tinycudann import import_tinycudann
from nerf_plugins.rays import Points

# Matrix units like widths that are multiples of this: 63 or 319 columns can take five times as long as 64 or 320.
_WIDTH_MULTIPLE = 32
_ROWS_MULTIPLE = 1024


def linear(x: Float[Tensor, "n width"], *layers: nn.Linear) -> tuple[Float[Tensor, "n _"], ...]:
    """Linear layers of one input as one product, in x's precision; x may carry zero columns at its end (see :func:`pad_columns`)."""
    widths = [layer.out_features for layer in layers]
    product = padded_product(x, [layer.weight for layer in layers], [layer.bias for layer in layers])
    return product.split([*widths, product.shape[-1] - sum(widths)], dim=-1)[: len(layers)]


def padded_product(
    x: Float[Tensor, "n width"], weights: Sequence[Float[Tensor, "_ width_in"]], biases: Sequence[Float[Tensor, "_"]]
) -> Float[Tensor, "n padded_width_out"]:
    """``x @ weight.T + bias`` in x's precision, of layers side by side, with zero columns up to the padded width; x may carry zero columns
    at its end. Differentiable once; the gradients of weights and biases are in their own precision.
    """
    if x.is_cuda:
        return _PaddedProduct.apply(x, *weights, *biases)  # type: ignore[return-value]
    # On the CPU a launch is nothing, and autograd's own backward pass was the faster one.
    weight, bias = (parts[0] if len(parts) == 1 else torch.cat(list(parts)) for parts in (weights, biases))
    extra = padded(len(weight)) - len(weight)
    weight = F.pad(weight, (0, x.shape[-1] - weight.shape[1], 0, extra))
    return F.linear(x, weight.to(x.dtype), F.pad(bias, (0, extra)).to(x.dtype))


def push_forward_linear(
    x: Float[Tensor, "n width"], tangents: Float[Tensor, "k n width"], layer: nn.Linear
) -> tuple[Float[Tensor, "n width_out"], Float[Tensor, "k n width_out"]]:
    """A linear layer of an input and of tangents of it; both may carry zero columns at their ends."""
    rows = torch.cat([x[None], tangents]).flatten(0, 1)
    product = padded_product(rows, [layer.weight], [torch.zeros_like(layer.bias)])[:, : layer.out_features]
    of_x, of_tangents = product.unflatten(0, (1 + len(tangents), len(x))).tensor_split([1])
    return of_x[0] + layer.bias.to(x.dtype), of_tangents


class _PaddedProduct(torch.autograd.Function):
    """Of what autograd would make of concatenating, padding and casting the weights, only what is not free: on a GPU each would be a launch
    or two, in both directions.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:  # type: ignore[override]
        n_layers = len(parameters) // 2
        weights, biases = parameters[:n_layers], parameters[n_layers:]
        width_out = padded(sum(len(weight) for weight in weights))
        weight = _side_by_side(weights, (width_out, x.shape[1]), x.dtype)
        ctx.save_for_backward(x, weight)
        ctx.shapes = [weight.shape for weight in weights]
        ctx.dtypes = [parameter.dtype for parameter in parameters]
        return F.linear(x, weight, _side_by_side(biases, (width_out,), x.dtype))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        wants, shapes = ctx.needs_input_grad, ctx.shapes
        grad_x = grad @ weight if wants[0] else None
        if not any(wants[1:]):
            return (grad_x, *[None] * (2 * len(shapes)))
        sizes = [shape[0] for shape in shapes] + [len(weight) - sum(shape[0] for shape in shapes)]
        of_weights = (grad.t() @ x).to(ctx.dtypes[0]).split(sizes)
        of_biases = grad.sum(0, dtype=ctx.dtypes[-1]).split(sizes)
        cut = [of_weight[:, : shape[1]] for of_weight, shape in zip(of_weights, shapes)]
        return grad_x, *cut, *of_biases[: len(shapes)]


def _side_by_side(parts: Sequence[Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """The parts one after the other, in that dtype, in the corner of zeros of a shape."""
    if len(parts) == 1 and parts[0].shape == shape:
        return parts[0].to(dtype)
    joined, start = parts[0].new_zeros(shape, dtype=dtype), 0
    for part in parts:
        corner = joined[start : start + len(part)]
        (corner if part.ndim == 1 else corner[:, : part.shape[1]]).copy_(part)
        start += len(part)
    return joined


def padded(width: int) -> int:
    """The next width that matrix units like."""
    return -(-width // _WIDTH_MULTIPLE) * _WIDTH_MULTIPLE


def pad_columns(x: Float[Tensor, "n width"]) -> Float[Tensor, "n padded_width"]:
    """Zero columns up to the :func:`padded` width."""
    extra = padded(x.shape[-1]) - x.shape[-1]
    return F.pad(x, (0, extra)) if extra else x


def pad_rows(x: Float[Tensor, "n width"]) -> Float[Tensor, "padded_n width"]:
    """On the CPU, zero rows up to a multiple of a block: oneDNN compiles a product anew for every number of rows it has not seen."""
    extra = -len(x) % _ROWS_MULTIPLE
    return x if x.is_cuda or extra == 0 else F.pad(x, (0, 0, 0, extra))


def first_rows(x: Float[Tensor, "padded_n *rest"], n: int) -> Float[Tensor, "n *rest"]:
    """The rows before those of :func:`pad_rows`; a slice of all rows would be copied in the backward pass."""
    return x if len(x) == n else x[:n]


def encode_points(encoding: Encoding, points: Points, dtype: torch.dtype) -> Float[Tensor, "padded_n width"]:
    """Features of points, with rows padded as :func:`pad_rows` does. Where the points have covariances or scales, each feature is its
    mean over the Gaussian around the point (see :meth:`Encoding.integrated` and :meth:`Encoding.damping`).
    """
    if points.covariances is not None:
        covariances = pad_rows(points.covariances.flatten(1)).unflatten(1, (3, 3))
        return encoding.integrated(pad_rows(points.positions), covariances, dtype)
    features = encoding(pad_rows(points.positions), dtype)
    if points.scales is not None:
        features = features * encoding.damping(pad_rows(points.scales[:, None])[:, 0]).to(dtype)
    return features


def make_layers(width_in: int, width: int, n_layers: int, implementation: str) -> nn.Module:
    """Layers with relu; a single layer is too little for a tiny-cuda-nn network."""
    if implementation == "tcnn" and n_layers > 1:
        return _TcnnLayers(padded(width_in), width, n_layers)
    return LinearLayers(width_in, width, n_layers)


class LinearLayers(nn.Module):
    """Linear layers, each followed by relu. The input may carry zero columns at its end (see ``pad_columns``)."""

    def __init__(self, width_in: int, width: int, n_layers: int) -> None:
        super().__init__()
        widths = [width_in] + [width] * n_layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """(n, width_in or more) -> (n, width)."""
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            x = F.relu_(padded_product(x, [layer.weight], [layer.bias]))[:, : layer.out_features]
        return x

    def push_forward(self, x: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """(n, width_in or more) and k tangents of it, (k, n, the same) -> the output and its tangents (k, n, width)."""
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            x, tangents = push_forward_linear(x, tangents, layer)
            tangents = tangents * (x > 0)
            x = F.relu(x)
        return x, tangents


class SkipLayers(nn.ModuleList):
    """``n_layers`` layers with relu, cut where the input is concatenated again: after the layers ``skips`` (counted from 0)."""

    def __init__(
        self, width_in: int, width: int, n_layers: int, skips: tuple[int, ...], implementation: str = "torch"
    ) -> None:
        cuts = [-1, *sorted(skips), n_layers - 1]
        parts = [
            make_layers(width_in + (0 if i == 0 else width), width, last - before, implementation)
            for i, (before, last) in enumerate(pairwise(cuts))
        ]
        super().__init__(parts)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width_in or more) -> (n, width)."""
        hidden = self[0](x)
        for layers in list(self)[1:]:
            hidden = layers(torch.cat([hidden, x], dim=-1))
        return hidden

    def push_forward(self, x: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`LinearLayers.push_forward`; not of tiny-cuda-nn's layers."""
        first, *others = self
        assert isinstance(first, LinearLayers)
        hidden, hidden_tangents = first.push_forward(x, tangents)
        for layers in others:
            assert isinstance(layers, LinearLayers)
            joined, joined_tangents = torch.cat([hidden, x], -1), torch.cat([hidden_tangents, tangents], -1)
            hidden, hidden_tangents = layers.push_forward(joined, joined_tangents)
        return hidden, hidden_tangents


class _TcnnLayers(nn.Module):
    """The same as a tiny-cuda-nn network (half precision, no biases)."""

    def __init__(self, width_in: int, width: int, n_layers: int) -> None:
        super().__init__()
        tcnn = import_tinycudann("field.implementation", "torch")
        options = {
            "otype": "FullyFusedMLP" if width in (16, 32, 64, 128) else "CutlassMLP",
            "activation": "ReLU",
            "output_activation": "ReLU",
            "n_neurons": width,
            "n_hidden_layers": n_layers - 1,
        }
        self.network = tcnn.Network(n_input_dims=width_in, n_output_dims=width, network_config=options)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).to(x.dtype)
