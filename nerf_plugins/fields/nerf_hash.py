"""instant-ngp's radiance field: a hash encoding, or another one, with two small networks."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from nerfstudio.field_components.activations import trunc_exp
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.appearance import AppearanceConfig, make_appearance
from nerf_plugins.fields.base import NO_DATASET, Dataset, Parts, RadianceField, RadianceFieldConfig, split_parts
from nerf_plugins.fields.encodings import (
    Encoding,
    EncodingConfig,
    HashEncodingConfig,
    SphericalHarmonics,
    SphericalHarmonicsConfig,
    cones_of,
)
from nerf_plugins.fields.layers import LinearLayers, encode_points, first_rows, linear, pad_columns, pad_rows, padded
from nerf_plugins.fields.precision import Precision, resolve_precision
from nerf_plugins.rays import Points


@dataclass
class NeRFHashConfig(RadianceFieldConfig):
    """instant-ngp's field."""

    _target: type = field(default_factory=lambda: NeRFHash, kw_only=True)
    """target class to instantiate"""
    encoding: EncodingConfig = field(default_factory=HashEncodingConfig)
    """The encoding of the position."""
    cones: bool = False
    """Take the size of a pixel's cone into account: features of what is smaller than a sample's piece of it are damped."""
    width: int = 64
    """Width of the hidden layers."""
    density_layers: int = 1
    """Hidden layers of the density network."""
    feature_width: int = 15
    """Numbers that the colour network gets from the density network, besides the encoding."""
    color_layers: int = 2
    """Hidden layers of the colour network."""
    directions: SphericalHarmonicsConfig = field(default_factory=SphericalHarmonicsConfig)
    """The encoding of the view direction."""
    appearance: AppearanceConfig = AppearanceConfig()  # noqa: RUF009 - frozen
    """What differs between the photos: light, exposure, style; seen by the colour alone."""
    density_bias: float = -1.0
    """The density starts as about exp(this)."""
    precision: Precision = "auto"
    """Arithmetic of the layers. auto: bf16 where the device multiplies it faster, else fp32. The table has its own precision."""

    def __post_init__(self) -> None:
        for name in ("width", "density_layers", "feature_width", "color_layers"):
            if getattr(self, name) < 1:
                raise InputError(f"field: {name} must be >= 1, got {getattr(self, name)}")


class NeRFHash(RadianceField):
    """Density from the encoded position by one hidden layer, colour from its features, the encoded position and the direction by a few.

    The density is exp of the network's output, whose gradient is clipped. Source: Müller et al., Instant Neural Graphics Primitives,
    2022, section 5.4.
    """

    def __init__(self, config: NeRFHashConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__()
        self.config = config
        self.appearance = make_appearance(config.appearance, dataset)
        self.needs = self.needs | self.appearance.needs
        encoded = self._make_encodings(dataset)
        self.directions: SphericalHarmonics = config.directions.setup()
        self.density_head = nn.Linear(config.width, 1)
        self.feature_head = nn.Linear(config.width, config.feature_width)
        self.color_head = nn.Linear(config.width, 3)
        self.density_layer = LinearLayers(encoded, config.width, config.density_layers)
        self.color_width = config.feature_width + encoded + self.appearance.width + self.directions.width
        self.color_layers = LinearLayers(self.color_width, config.width, config.color_layers)

    def _make_encodings(self, dataset: Dataset) -> int:
        """Makes what encodes what both networks see (:meth:`_encoded`), and says how many features that is."""
        self.encoding: Encoding = self.config.encoding.setup()
        if self.config.cones:
            self.needs = self.needs | cones_of(self.encoding)
        return self.encoding.width

    def parts(self) -> Parts:
        """The density does not depend on the features that the colour sees."""
        return split_parts(self, color=[self.feature_head, self.color_layers, self.color_head, self.appearance])

    def density(self, points: Points) -> Float[Tensor, "n"]:
        """Densities; see :class:`RadianceField`."""
        (raw,) = linear(self._hidden(self._encoded(points, self._dtype(points))), self.density_head)
        return first_rows(self._activate(raw), len(points.positions))

    def forward(self, points: Points) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Densities and colours; see :class:`RadianceField`."""
        assert points.directions is not None
        n, encoded = len(points.positions), self._encoded(points, self._dtype(points))
        raw, features = linear(self._hidden(encoded), self.density_head, self.feature_head)
        directions = pad_rows(points.encoded(lambda d: self._encode(d, features.dtype), points.directions))
        of_photos = [pad_rows(x).to(features.dtype) for x in self.appearance.inputs(points)]
        # The encoding too: through the features alone, texture would have to pass what the density is made of.
        hidden = self.color_layers(torch.cat([features, encoded, *of_photos, directions], dim=-1))
        (color,) = linear(hidden, self.color_head)
        colors = self.appearance.adjusted(first_rows(torch.sigmoid(color.float()), n), points)
        return first_rows(self._activate(raw), n), colors

    def _encode(self, directions: Tensor, dtype: torch.dtype) -> Tensor:
        """Encoded directions, as many columns wider as make the colour network's input :func:`padded`."""
        return F.pad(self.directions(directions, dtype), (0, padded(self.color_width) - self.color_width))

    def _hidden(self, encoded: Tensor) -> Tensor:
        return self.density_layer(pad_columns(encoded))

    def _dtype(self, points: Points) -> torch.dtype:
        return resolve_precision(self.config.precision, points.positions.device)

    def _encoded(self, points: Points, dtype: torch.dtype) -> Tensor:
        """What both networks see."""
        return encode_points(self.encoding, points, dtype)

    def _activate(self, raw: Tensor) -> Tensor:
        return trunc_exp(raw.float().squeeze(-1) + self.config.density_bias)
