"""The field of the NeuS paper: one MLP for the signed distance, one for the colour."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from nerf_plugins.errors import InputError
from nerf_plugins.fields.activations import softplus
from nerf_plugins.fields.appearance import make_appearance
from nerf_plugins.fields.base import NO_DATASET, Dataset, Parts, split_parts
from nerf_plugins.fields.encodings import FrequencyEncoding, FrequencyEncodingConfig
from nerf_plugins.fields.layers import (
    Product,
    first_rows,
    multiply,
    multiply_relu,
    pad_columns,
    pad_rows,
    padded,
    padded_factors,
)
from nerf_plugins.fields.precision import resolve_precision
from nerf_plugins.fields.sdf import Geometry, SDFField, SDFFieldConfig, settle_on_sphere
from nerf_plugins.rays import Points

# The paper's softplus is nearly a relu; its slope is sigmoid(beta z).
_BETA = 100.0
# The paper's code encodes sin(2^k x), without the factor pi.
_BASE_FREQUENCY = 1.0


@dataclass
class NeuSMLPConfig(SDFFieldConfig):
    """The MLPs of the NeuS paper."""

    _target: type = field(default_factory=lambda: NeuSMLP, kw_only=True)
    """target class to instantiate"""
    D: int = 8
    """Number of layers before the distance."""
    W: int = 256
    """Width of the layers and of the feature that the colour sees."""
    skips: tuple[int, ...] = (4,)
    """Before these layers (counted from 0) the encoded position is concatenated again."""
    position_frequencies: int = 6
    """Octaves of the positional encoding of the position."""
    color_layers: int = 4
    """Number of layers of the colour network."""
    color_width: int = 256
    """Their width."""
    direction_frequencies: int = 4
    """Octaves of the positional encoding of the view direction."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.D < 2 or self.W < 2 or self.color_layers < 1 or self.color_width < 2:
            raise InputError(
                f"field: D must be >= 2, W, color_width >= 2 and color_layers >= 1, got D={self.D}, W={self.W}, "
                f"color_width={self.color_width}, color_layers={self.color_layers}"
            )
        if any(not 1 <= skip < self.D for skip in self.skips) or len(set(self.skips)) < len(self.skips):
            raise InputError(
                f"field: skips must be different and lie in [1, D - 1] = [1, {self.D - 1}], got {self.skips}"
            )
        encoded = _encoding(self.position_frequencies).width
        if encoded >= self.W and self.skips:
            raise InputError(
                f"field: W must exceed the encoded position's width, {encoded}, where there are skips, got W={self.W}"
            )


class NeuSMLP(SDFField):
    r"""Signed distance by ``D`` layers with softplus (:math:`\beta = 100`) and weight normalisation, starting as a sphere; colour by
    ``color_layers`` layers with relu from position, encoded direction, gradient and feature.

    The gradient of the distance is computed by an explicit backward pass through the layers, so training needs only first-order autograd.

    Source: Wang et al., NeuS, 2021, supplementary B.1; Atzmon and Lipman, SAL, 2020, for the initialisation.
    """

    def __init__(self, config: NeuSMLPConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__()
        self.config = config
        self.positions = _encoding(config.position_frequencies)
        self.directions = _encoding(config.direction_frequencies)
        encoded = self.positions.width
        self.layers = nn.ModuleList()
        for i in range(config.D):
            width_in = encoded if i == 0 else config.W
            width_out = config.W - encoded if i + 1 in config.skips else config.W
            self.layers.append(nn.Linear(width_in, width_out))
        self.head = nn.Linear(config.W, 1 + config.W)
        self.appearance = make_appearance(config.appearance, dataset)
        self.needs = self.needs | self.appearance.needs
        width_in = 6 + self.directions.width + config.W + self.appearance.width
        widths = [width_in] + [config.color_width] * config.color_layers
        self.color_layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.color_head = nn.Linear(config.color_width, 3)
        _initialise_as_sphere(self, encoded)
        for layer in [*self.layers, self.head, *self.color_layers, self.color_head]:
            weight_norm(layer)

    def parts(self) -> Parts:
        """Distance and feature are rows of one layer, which belongs to the distance."""
        return split_parts(self, color=[self.color_layers, self.color_head, self.appearance])

    def sdf(self, points: Points) -> Float[Tensor, "n"]:
        """The distances alone."""
        hidden, _ = self._hidden(pad_rows(points.positions), _weights(self.layers))
        weight, bias = _weights([self.head])[0]
        return first_rows(hidden @ weight[0] + bias[0], len(points.positions))

    def geometry(self, points: Points) -> Geometry:
        """Distances, gradients, features; see :class:`SDFField`."""
        n, weights = len(points.positions), _weights(self.layers)
        positions = pad_rows(points.positions)
        hidden, slopes = self._hidden(positions, weights)
        head_weight, head_bias = _weights([self.head])[0]
        # The distance on its own, so that the wide product keeps a width that matrix units like.
        sdf = hidden @ head_weight[0] + head_bias[0]
        features = F.linear(hidden, head_weight[1:], head_bias[1:])
        gradients = self._gradients(positions, head_weight[0], weights, slopes)
        return Geometry(first_rows(sdf, n), first_rows(gradients, n), first_rows(features, n))

    def color(self, points: Points, geometry: Geometry) -> Float[Tensor, "n 3"]:
        """Colours; see :class:`SDFField`."""
        assert points.directions is not None
        positions, encoded = points.positions, points.encoded(self.directions, points.directions)
        known = [positions, encoded, geometry.gradients, geometry.features, *self.appearance.inputs(points)]
        inputs = pad_rows(torch.cat(known, dim=-1))
        hidden = pad_columns(inputs.to(resolve_precision(self.config.precision, positions.device)))
        columns = [hidden.shape[1], *[padded(self.config.color_width)] * self.config.color_layers]
        layers = zip(_weights([*self.color_layers, self.color_head]), columns)  # type: ignore[list-item]
        factors = padded_factors([Product([weight], [bias], n) for (weight, bias), n in layers], hidden.dtype)
        for _ in self.color_layers:
            hidden = multiply_relu(hidden, next(factors))
        raw = first_rows(multiply(hidden, next(factors)), len(positions))[:, :3]
        return self.appearance.adjusted(torch.sigmoid(raw.float()), points)

    def _hidden(self, positions: Tensor, weights: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[Tensor]]:
        """The last hidden layer, and the slope of the activation in each."""
        encoded = self.positions(positions, positions.dtype)
        hidden, slopes = encoded, []
        for i, (weight, bias) in enumerate(weights):
            if i in self.config.skips:
                hidden = torch.cat([hidden, encoded], dim=-1) * math.sqrt(0.5)
            z = F.linear(hidden, weight, bias)
            hidden = softplus(z, _BETA)
            slopes.append(torch.sigmoid(_BETA * z))
        return hidden, slopes

    def _gradients(
        self, positions: Tensor, head: Tensor, weights: list[tuple[Tensor, Tensor]], slopes: list[Tensor]
    ) -> Tensor:
        """Backpropagation of 1 from the distance to the positions, out of differentiable operations."""
        width = self.positions.width
        grad: Tensor = head
        grad_encoded: Tensor | None = None
        for i in range(len(weights) - 1, -1, -1):
            grad = (grad * slopes[i]) @ weights[i][0]
            if i in self.config.skips:
                grad = grad * math.sqrt(0.5)
                grad, part = grad.split([grad.shape[-1] - width, width], dim=-1)
                grad_encoded = part if grad_encoded is None else grad_encoded + part
        grad = grad if grad_encoded is None else grad + grad_encoded
        return self.positions.backward(positions, grad)


def _encoding(n_frequencies: int) -> FrequencyEncoding:
    return FrequencyEncoding(FrequencyEncodingConfig(n_frequencies=n_frequencies, base_frequency=_BASE_FREQUENCY))


def _weights(layers: nn.ModuleList | list[nn.Linear]) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases; asked once a pass, since weight normalisation computes them anew each time."""
    return [(layer.weight, layer.bias) for layer in layers]  # type: ignore[misc]


@torch.no_grad()
def _initialise_as_sphere(mlp: NeuSMLP, encoded: int) -> None:
    """Weights for which the distance is about ``|x| - radius``; encoded frequencies start without influence."""
    for i, layer in enumerate(mlp.layers):
        assert isinstance(layer, nn.Linear)
        nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / layer.out_features))
        nn.init.zeros_(layer.bias)
        if i == 0:
            layer.weight[:, 3:] = 0.0
        elif i in mlp.config.skips:
            layer.weight[:, layer.in_features - encoded + 3 :] = 0.0
    nn.init.normal_(mlp.head.weight, mlp.config.sign * math.sqrt(math.pi / mlp.config.W), 1e-4)
    nn.init.zeros_(mlp.head.bias)
    settle_on_sphere(mlp, mlp.head.bias, mlp.config.radius)
