"""A signed distance field on a hash encoding, with two small networks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from nerfstudio.utils.math import components_from_spherical_harmonics
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.hash_encoding import HashEncoding, HashEncodingConfig
from nerf_plugins.fields.layers import LinearLayers, linear, pad_columns, pad_rows, padded_product
from nerf_plugins.fields.precision import Precision, resolve_precision
from nerf_plugins.fields.sdf import Geometry, SDFField, SDFFieldConfig, settle_on_sphere

_BETA = 100.0


@dataclass
class NeuSHashConfig(SDFFieldConfig):
    """A signed distance field on a hash encoding."""

    _target: type = field(default_factory=lambda: NeuSHash, kw_only=True)
    """target class to instantiate"""
    encoding: HashEncodingConfig = field(default_factory=HashEncodingConfig)
    """The encoding of the position."""
    width: int = 64
    """Width of the hidden layers."""
    feature_width: int = 15
    """Numbers that the colour network gets from the distance network, besides distance and gradient."""
    color_layers: int = 2
    """Hidden layers of the colour network."""
    direction_degree: int = 4
    """Degrees of spherical harmonics that encode the view direction, 1 to 5."""
    start_levels: int = 8
    """Levels of the encoding that are active from the start; the others join one by one while the model anneals."""
    radius: float = 0.5
    """Radius of the sphere that the field starts as; the field's cube has the side 2."""
    inside_out: bool = False
    """Start as a hollow sphere that the cameras stand in (rooms), not as a ball that they stand around."""
    precision: Precision = "auto"
    """Arithmetic of the colour network. auto: bf16 where the device multiplies it faster, else fp32. The distance is always fp32."""

    def __post_init__(self) -> None:
        for name in ("width", "feature_width", "color_layers", "start_levels"):
            if getattr(self, name) < 1:
                raise InputError(f"field: {name} must be >= 1, got {getattr(self, name)}")
        if not 1 <= self.direction_degree <= 5:
            raise InputError(f"field: direction_degree must be in [1, 5], got {self.direction_degree}")
        if not 0 < self.radius < 1:
            raise InputError(f"field: radius must be in (0, 1), got {self.radius}")


class NeuSHash(SDFField):
    """Distance from position and encoding by one hidden layer with softplus, starting as a sphere; colour by a small network from
    position, direction, gradient and features.

    The gradient of the distance is computed analytically, through the encoding too, out of operations that autograd differentiates once.
    """

    def __init__(self, config: NeuSHashConfig) -> None:
        super().__init__()
        self.config = config
        self.encoding = HashEncoding(config.encoding)
        self.layer = nn.Linear(3 + self.encoding.width, config.width)
        self.head = nn.Linear(config.width, 1)
        self.feature_head = nn.Linear(config.width, config.feature_width)
        width_in = 6 + config.direction_degree**2 + config.feature_width
        self.color_layers = LinearLayers(width_in, config.width, config.color_layers)
        self.color_head = nn.Linear(config.width, 3)
        _initialise_as_sphere(self)

    def set_progress(self, progress: float) -> None:
        """From ``start_levels`` to all levels, evenly."""
        n_levels = self.config.encoding.n_levels
        start = min(self.config.start_levels, n_levels)
        self.encoding.n_active_levels = start + int(progress * (n_levels - start))

    def sdf(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """The distances alone."""
        return linear(F.softplus(self._preactivation(positions), beta=_BETA), self.head)[0][: len(positions), 0]

    def geometry(self, positions: Float[Tensor, "n 3"]) -> Geometry:
        """Distances, gradients, features; see :class:`SDFField`."""
        n, z = len(positions), self._preactivation(positions)
        sdf, features = linear(F.softplus(z, beta=_BETA), self.head, self.feature_head)
        grad = (self.head.weight * torch.sigmoid(_BETA * z)) @ self.layer.weight
        gradients = grad[:n, :3] + self.encoding.backward(positions, grad[:n, 3:])
        return Geometry(sdf[:n, 0], gradients, features[:n])

    def color(
        self, positions: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"], geometry: Geometry
    ) -> Float[Tensor, "n 3"]:
        """Colours; see :class:`SDFField`."""
        encoded = components_from_spherical_harmonics(self.config.direction_degree, directions)
        inputs = torch.cat([positions, encoded, geometry.gradients, geometry.features], dim=-1)
        inputs = inputs.to(resolve_precision(self.config.precision, positions.device))
        (color,) = linear(self.color_layers(pad_columns(pad_rows(inputs))), self.color_head)
        return torch.sigmoid(color.float())[: len(positions)]

    def _preactivation(self, positions: Tensor) -> Tensor:
        inputs = torch.cat([positions, self.encoding(positions)], dim=-1)
        return padded_product(pad_columns(pad_rows(inputs)), self.layer.weight, self.layer.bias)[:, : self.config.width]


@torch.no_grad()
def _initialise_as_sphere(field: NeuSHash) -> None:
    """Weights for which the distance is about ``|x| - radius``; the encoding starts without influence."""
    width = field.config.width
    nn.init.normal_(field.layer.weight, 0.0, math.sqrt(2.0 / width))
    field.layer.weight[:, 3:] = 0.0
    nn.init.zeros_(field.layer.bias)
    sign = -1.0 if field.config.inside_out else 1.0
    nn.init.normal_(field.head.weight, sign * math.sqrt(math.pi / width), 1e-4)
    nn.init.zeros_(field.head.bias)
    settle_on_sphere(field, field.head.bias, field.config.radius)
