"""Linear layers in the shapes that matrix units like: widths padded to multiples of 32, rows on the CPU to multiples of 1024."""

from __future__ import annotations

from itertools import pairwise

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
    product = padded_product(
        x, torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
    )
    return product.split([*widths, product.shape[-1] - sum(widths)], dim=-1)[: len(layers)]


def padded_product(
    x: Float[Tensor, "n width"], weight: Float[Tensor, "width_out width_in"], bias: Float[Tensor, "width_out"]
) -> Float[Tensor, "n padded_width_out"]:
    """``x @ weight.T + bias`` in x's precision, with zero columns up to the padded width; x may carry zero columns at its end."""
    extra = padded(len(weight)) - len(weight)
    weight = F.pad(weight, (0, x.shape[-1] - weight.shape[1], 0, extra))
    return F.linear(x, weight.to(x.dtype), F.pad(bias, (0, extra)).to(x.dtype))


def padded(width: int) -> int:
    """The next width that matrix units like."""
    return -(-width // _WIDTH_MULTIPLE) * _WIDTH_MULTIPLE


def pad_columns(x: Float[Tensor, "n width"]) -> Float[Tensor, "n padded_width"]:
    """Zero columns up to the :func:`padded` width."""
    return F.pad(x, (0, padded(x.shape[-1]) - x.shape[-1]))


def pad_rows(x: Float[Tensor, "n width"]) -> Float[Tensor, "padded_n width"]:
    """On the CPU, zero rows up to a multiple of a block: oneDNN compiles a product anew for every number of rows it has not seen."""
    return x if x.is_cuda else F.pad(x, (0, 0, 0, -len(x) % _ROWS_MULTIPLE))


def encode_points(encoding: Encoding, points: Points, dtype: torch.dtype) -> Float[Tensor, "padded_n padded_width"]:
    """Features of points, padded as :func:`pad_rows` and :func:`pad_columns` do. Where the points have scales, each feature is damped to
    its mean over the Gaussian around the point (see :meth:`Encoding.damping`).
    """
    features = encoding(pad_rows(points.positions), dtype)
    if points.scales is not None:
        features = features * encoding.damping(pad_rows(points.scales[:, None])[:, 0]).to(dtype)
    return pad_columns(features)


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
            x = F.relu_(padded_product(x, layer.weight, layer.bias))[:, : layer.out_features]
        return x


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
