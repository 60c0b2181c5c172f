"""Linear layers in the shapes that matrix units like: widths padded to multiples of 32, rows on the CPU to multiples of 1024."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

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


class Product(NamedTuple):
    """Layers of one input, which are multiplied as one."""

    weights: Sequence[Tensor]
    """Of each layer, (width_out, width_in)."""
    biases: Sequence[Tensor]
    """(width_out,)."""
    columns: int
    """Of the input; it may have zero columns at its end."""

    @staticmethod
    def of(layers: Sequence[nn.Linear], columns: int) -> Product:
        """Of torch's layers."""
        return Product([layer.weight for layer in layers], [layer.bias for layer in layers], columns)


class Factors(NamedTuple):
    """What an input is multiplied with and what is added then, in its precision and padded."""

    weight: Float[Tensor, "padded_width_out columns"]
    bias: Float[Tensor, "padded_width_out"]
    learnt_biases: Sequence[Tensor]
    """What the bias was made of: it gets the gradient in its own precision."""


def linear(x: Float[Tensor, "n width"], *layers: nn.Linear) -> tuple[Float[Tensor, "n _"], ...]:
    """Linear layers of one input as one product, in x's precision; x may carry zero columns at its end (see :func:`pad_columns`)."""
    (factors,) = padded_factors([Product.of(layers, x.shape[1])], x.dtype)
    product, widths = multiply(x, factors), [layer.out_features for layer in layers]
    return product.split([*widths, product.shape[-1] - sum(widths)], dim=-1)[: len(layers)]


def padded_product(
    x: Float[Tensor, "n width"], weights: Sequence[Float[Tensor, "_ width_in"]], biases: Sequence[Float[Tensor, "_"]]
) -> Float[Tensor, "n padded_width_out"]:
    """``x @ weight.T + bias`` in x's precision, of layers side by side, with zero columns up to the padded width; x may carry zero columns
    at its end. Differentiable once; the gradients of weights and biases are in their own precision.
    """
    (factors,) = padded_factors([Product(weights, biases, x.shape[1])], x.dtype)
    return multiply(x, factors)


def padded_factors(products: Sequence[Product], dtype: torch.dtype) -> Iterator[Factors]:
    """The factors of products, in that dtype, with zeros where their layers' weights and biases have nothing; differentiable once in the
    weights. On CUDA those of all products are cast together; on the CPU each when it is asked for, while it is in the cache, both ways.
    """
    if products[0].weights[0].is_cuda:
        return iter(_cast_together(products, dtype))
    # On the CPU a launch is nothing, and autograd's own backward pass was the faster one.
    return (_cast_alone(product, dtype) for product in products)


def _cast_alone(product: Product, dtype: torch.dtype) -> Factors:
    weight, bias = (
        parts[0] if len(parts) == 1 else torch.cat(list(parts)) for parts in (product.weights, product.biases)
    )
    extra = padded(len(weight)) - len(weight)
    weight = F.pad(weight, (0, product.columns - weight.shape[1], 0, extra))
    return Factors(weight.to(dtype), F.pad(bias, (0, extra)).to(dtype), product.biases)


def _cast_together(products: Sequence[Product], dtype: torch.dtype) -> list[Factors]:
    weights = [weight for product in products for weight in product.weights]
    cast = _CastTogether.apply(*weights, products, dtype)
    return [Factors(cast[2 * i], cast[2 * i + 1], product.biases) for i, product in enumerate(products)]  # type: ignore[index]


def multiply(x: Float[Tensor, "n columns"], factors: Factors) -> Float[Tensor, "n padded_width_out"]:
    """``x @ weight.T + bias``; differentiable once."""
    if x.is_cuda:
        return _Product.apply(x, factors.weight, factors.bias, *factors.learnt_biases)  # type: ignore[return-value]
    return F.linear(x, factors.weight, factors.bias)


def multiply_relu(x: Float[Tensor, "n columns"], factors: Factors) -> Float[Tensor, "n padded_width_out"]:
    """The positive part of :func:`multiply`; on CUDA it is taken before the product is written."""
    if x.is_cuda:
        return _ReluProduct.apply(x, factors.weight, factors.bias, *factors.learnt_biases)  # type: ignore[return-value]
    return F.relu_(F.linear(x, factors.weight, factors.bias))


def push_forward_linear(
    x: Float[Tensor, "n width"], tangents: Float[Tensor, "k n width"], layer: nn.Linear
) -> tuple[Float[Tensor, "n width_out"], Float[Tensor, "k n width_out"]]:
    """A linear layer of an input and of tangents of it; both may carry zero columns at their ends."""
    rows = torch.cat([x[None], tangents]).flatten(0, 1)
    product = padded_product(rows, [layer.weight], [torch.zeros_like(layer.bias)])[:, : layer.out_features]
    of_x, of_tangents = product.unflatten(0, (1 + len(tangents), len(x))).tensor_split([1])
    return of_x[0] + layer.bias.to(x.dtype), of_tangents


class _Product(torch.autograd.Function):
    """``x @ weight.T + bias``. The gradient goes to the learnt biases instead of the bias that was made of them, since its sum over many
    rows is kept in their precision."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, *learnt_biases: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x, weight)
        ctx.learnt_biases = [(len(learnt), learnt.dtype) for learnt in learnt_biases]
        return F.linear(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        return _product_gradients(ctx, grad, x, weight)


class _ReluProduct(torch.autograd.Function):
    """The positive part of a product: cuBLAS adds the bias and takes it while the product is in registers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, *learnt_biases: Tensor) -> Tensor:  # type: ignore[override]
        result = torch.ops.aten._addmm_activation(bias, x, weight.t())
        ctx.save_for_backward(x, weight, result)
        ctx.learnt_biases = [(len(learnt), learnt.dtype) for learnt in learnt_biases]
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight, result = ctx.saved_tensors
        return _product_gradients(ctx, torch.ops.aten.threshold_backward(grad, result, 0), x, weight)


def _product_gradients(ctx: Any, grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor | None, ...]:
    """Of x, weight, bias (none) and the learnt biases."""
    wants_x, wants_weight, _, *wants_biases = ctx.needs_input_grad
    of_x = grad @ weight if wants_x else None
    of_weight = grad.t() @ x if wants_weight else None
    lengths = [length for length, _ in ctx.learnt_biases]
    of_biases: Sequence[Tensor | None] = [None] * len(lengths)
    if any(wants_biases):
        summed = grad.sum(0, dtype=ctx.learnt_biases[0][1])
        of_biases = summed.split([*lengths, len(summed) - sum(lengths)])[: len(lengths)]
    return of_x, of_weight, None, *of_biases


class _CastTogether(torch.autograd.Function):
    """Weights and biases of products -> weight, bias, weight, bias ... of the products, padded and cast; biases have no gradient.

    Of what autograd would make of it, only what is not free: on a GPU each cast, padding and concatenation would be a launch or two, in
    both directions. Here all that keep their strides are cast at once; a weight that gets columns is copied alone.
    """

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:  # type: ignore[override]
        *weights, products, dtype = arguments
        ctx.set_materialize_grads(False)
        ctx.dtype = weights[0].dtype
        ctx.layout = [([weight.shape for weight in product.weights], product.columns) for product in products]
        stacks = []
        for product in products:
            width = padded(sum(map(len, product.biases)))
            stacks += [(product.weights, (width, product.columns)), (product.biases, (width,))]
        results = _stacked(stacks, dtype)
        ctx.mark_non_differentiable(*results[1::2])
        return tuple(results)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        results: list[Tensor | None] = []
        copies: list[tuple[Tensor, Tensor]] = []
        for (shapes, columns), grad in zip(ctx.layout, grads[::2]):
            if grad is None:
                results += [None] * len(shapes)
                continue
            widths = [shape[0] for shape in shapes]
            grad = grad[: sum(widths)]
            if grad.dtype != ctx.dtype and all(shape[1] == columns for shape in shapes):
                copies.append((torch.empty_like(grad, dtype=ctx.dtype), grad))
                grad = copies[-1][0]
            results += [part[:, : shape[1]].to(ctx.dtype) for part, shape in zip(grad.split(widths), shapes)]
        _copy_all(copies)
        return *results, None, None


def _stacked(stacks: Sequence[tuple[Sequence[Tensor], tuple[int, ...]]], dtype: torch.dtype) -> list[Tensor]:
    """Of each stack, (parts, shape): the parts one after the other, in that dtype, in the corner of zeros of the shape."""
    sizes = [math.prod(shape) for _, shape in stacks]
    first = stacks[0][0][0]
    is_full = sum(sizes) == sum(part.numel() for parts, _ in stacks for part in parts)
    memory = (first.new_empty if is_full else first.new_zeros)(sum(sizes), dtype=dtype)
    results = [piece.view(shape) for piece, (_, shape) in zip(memory.split(sizes), stacks)]
    copies = []
    for (parts, shape), result in zip(stacks, results):
        rows = result.split([*map(len, parts), shape[0] - sum(map(len, parts))])
        for part, target in zip(parts, rows):
            if part.shape == target.shape:
                copies.append((target, part))
            else:
                target[:, : part.shape[1]].copy_(part)
    _copy_all(copies)
    return results


def _copy_all(copies: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Pairs of target and source of one shape and the same strides, in one launch."""
    if copies:
        torch.ops.aten._foreach_copy_([target for target, _ in copies], [source for _, source in copies])


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
        return self.multiplied(x, padded_factors(self.products(x.shape[1]), x.dtype))

    def products(self, columns: int) -> list[Product]:
        """Of the layers, for an input of that many columns."""
        known = [columns, *(layer.out_features for layer in self.layers)]  # type: ignore[misc]
        return [Product.of([layer], n) for layer, n in zip(self.layers, known)]  # type: ignore[list-item]

    def multiplied(self, x: Tensor, factors: Iterable[Factors]) -> Tensor:
        """The layers with the factors of their :meth:`products`, which may have been made together with those of other layers."""
        for layer, of_layer in zip(self.layers, factors):
            x = multiply_relu(x, of_layer)[:, : layer.out_features]  # type: ignore[misc]
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
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """(n, width_in or more) -> (n, width)."""
        hidden, factors = x, self._factors(x)
        for i, layers in enumerate(self):
            seen = x if i == 0 else torch.cat([hidden, x], dim=-1)
            if isinstance(layers, LinearLayers):
                hidden = layers.multiplied(seen, islice(factors, len(layers.layers)))
            else:
                hidden = layers(seen)
        return hidden

    def _factors(self, x: Tensor) -> Iterator[Factors]:
        """Of all linear layers."""
        products: list[Product] = []
        for i, layers in enumerate(self):
            if isinstance(layers, LinearLayers):
                products += layers.products(x.shape[1] + (0 if i == 0 else self.width))
        return padded_factors(products, x.dtype) if products else iter(())

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
