"""A signed distance field on a hash encoding, with two small networks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.activations import softplus
from nerf_plugins.fields.appearance import make_appearance
from nerf_plugins.fields.base import NO_DATASET, Dataset, Parts, split_parts
from nerf_plugins.fields.encodings import (
    EncodingConfig,
    HashEncodingConfig,
    SphericalHarmonics,
    SphericalHarmonicsConfig,
)
from nerf_plugins.fields.layers import LinearLayers, first_rows, linear, pad_columns, pad_rows
from nerf_plugins.fields.precision import resolve_precision
from nerf_plugins.fields.sdf import Geometry, SDFField, SDFFieldConfig, settle_on_sphere
from nerf_plugins.rays import Points

_BETA = 100.0


@dataclass
class NeuSHashConfig(SDFFieldConfig):
    """A signed distance field on a hash encoding."""

    _target: type = field(default_factory=lambda: NeuSHash, kw_only=True)
    """target class to instantiate"""
    encoding: EncodingConfig = field(default_factory=HashEncodingConfig)
    """The encoding of the position."""
    width: int = 64
    """Width of the hidden layers."""
    feature_width: int = 15
    """Numbers that the colour network gets from the distance network, besides gradient and encoding."""
    color_layers: int = 2
    """Hidden layers of the colour network."""
    directions: SphericalHarmonicsConfig = field(default_factory=SphericalHarmonicsConfig)
    """The encoding of the view direction."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("width", "feature_width", "color_layers"):
            if getattr(self, name) < 1:
                raise InputError(f"field: {name} must be >= 1, got {getattr(self, name)}")


class NeuSHash(SDFField):
    """Distance from position and encoding by one hidden layer with softplus, starting as a sphere; colour by a small network from
    position, direction, gradient, the layer's features and the encoding itself: what must be smooth for the distance must not be for it.

    The gradient of the distance is computed analytically, through the encoding too, out of operations that autograd differentiates once.
    """

    def __init__(self, config: NeuSHashConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__()
        self.config = config
        self.encoding = config.encoding.setup()
        self.directions: SphericalHarmonics = config.directions.setup()
        self.layer = nn.Linear(3 + self.encoding.width, config.width)
        self.head = nn.Linear(config.width, 1)
        self.feature_head = nn.Linear(config.width, config.feature_width)
        self.appearance = make_appearance(config.appearance, dataset)
        self.needs = self.needs | self.appearance.needs
        width_in = 6 + self.directions.width + config.feature_width + self.encoding.width + self.appearance.width
        self.color_layers = LinearLayers(width_in, config.width, config.color_layers)
        self.color_head = nn.Linear(config.width, 3)
        _initialise_as_sphere(self)

    def parts(self) -> Parts:
        """The distance does not depend on the features that the colour sees."""
        return split_parts(self, color=[self.feature_head, self.color_layers, self.color_head, self.appearance])

    def sdf(self, points: Points) -> Float[Tensor, "n"]:
        """The distances alone."""
        z = self._preactivation(points.positions, self.encoding(points.positions))
        return first_rows(linear(softplus(z, _BETA), self.head)[0][:, 0], len(points.positions))

    def geometry(self, points: Points) -> Geometry:
        """Distances, gradients, features; see :class:`SDFField`."""
        positions = points.positions
        n, encoded = len(positions), self.encoding(positions)
        z = self._preactivation(positions, encoded)
        sdf, features = linear(softplus(z, _BETA), self.head, self.feature_head)
        grad = (self.head.weight * torch.sigmoid(_BETA * z)) @ self.layer.weight
        of_positions, of_features = first_rows(grad, n).split([3, self.encoding.width], dim=-1)
        gradients = of_positions + self.encoding.backward(positions, of_features)
        seen = torch.cat([first_rows(features, n), encoded], dim=-1)
        return Geometry(first_rows(sdf[:, 0], n), gradients, seen)

    def color(self, points: Points, geometry: Geometry) -> Float[Tensor, "n 3"]:
        """Colours; see :class:`SDFField`."""
        assert points.directions is not None
        positions = points.positions
        encoded = points.encoded(self.directions, points.directions)
        known = [positions, encoded, geometry.gradients, geometry.features, *self.appearance.inputs(points)]
        inputs = pad_rows(torch.cat(known, dim=-1))
        inputs = inputs.to(resolve_precision(self.config.precision, positions.device))
        (color,) = linear(self.color_layers(pad_columns(inputs)), self.color_head)
        return self.appearance.adjusted(first_rows(torch.sigmoid(color.float()), len(positions)), points)

    def _preactivation(self, positions: Tensor, encoded: Tensor) -> Tensor:
        inputs = torch.cat([positions, encoded], dim=-1)
        return linear(pad_columns(pad_rows(inputs)), self.layer)[0]


@torch.no_grad()
def _initialise_as_sphere(field: NeuSHash) -> None:
    """Weights for which the distance is about ``|x| - radius``; the encoding starts without influence."""
    width = field.config.width
    nn.init.normal_(field.layer.weight, 0.0, math.sqrt(2.0 / width))
    field.layer.weight[:, 3:] = 0.0
    nn.init.zeros_(field.layer.bias)
    nn.init.normal_(field.head.weight, field.config.sign * math.sqrt(math.pi / width), 1e-4)
    nn.init.zeros_(field.head.bias)
    settle_on_sphere(field, field.head.bias, field.config.radius)
