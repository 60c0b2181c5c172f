"""The radiance field of the NeRF paper: one MLP for density and view-dependent colour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.activations import softplus
from nerf_plugins.fields.appearance import AppearanceConfig, make_appearance
from nerf_plugins.fields.base import NO_DATASET, Dataset, Parts, RadianceField, RadianceFieldConfig, split_parts
from nerf_plugins.fields.encodings import Encoding, FrequencyEncoding, FrequencyEncodingConfig
from nerf_plugins.fields.layers import (
    LinearLayers,
    SkipLayers,
    encode_points,
    first_rows,
    linear,
    pad_columns,
    pad_rows,
)
from nerf_plugins.fields.precision import Precision, resolve_precision
from nerf_plugins.rays import Points


@dataclass
class NeRFMLPConfig(RadianceFieldConfig):
    """The MLP of the NeRF paper."""

    _target: type = field(default_factory=lambda: NeRFMLP, kw_only=True)
    """target class to instantiate"""
    D: int = 8
    """Number of layers before the density."""
    W: int = 256
    """Width of the layers."""
    skips: tuple[int, ...] = (4,)
    """After these layers (counted from 0) the encoded position is concatenated again."""
    position_frequencies: int = 10
    """Octaves of the positional encoding of the position (the paper's L = 10)."""
    direction_frequencies: int = 4
    """Octaves of the positional encoding of the view direction (the paper's L = 4)."""
    appearance: AppearanceConfig = AppearanceConfig()  # noqa: RUF009 - frozen
    """What differs between the photos: light, exposure, style; seen by the colour alone."""
    density_activation: Literal["softplus", "relu"] = "softplus"
    """softplus has a gradient everywhere, so a ray cannot die; relu is the paper's."""
    initialisation: Literal["glorot", "torch"] = "glorot"
    """glorot: uniform, biases 0, as the paper's code has it; torch: the default of torch's linear layers."""
    implementation: Literal["torch", "tcnn"] = "torch"
    """tcnn: the layers as tiny-cuda-nn networks (CUDA only, without biases); needs tinycudann."""
    precision: Precision = "auto"
    """Arithmetic of the layers. auto: bf16 where the device multiplies it faster, else fp32. Weights are always fp32."""

    def __post_init__(self) -> None:
        if self.D < 1 or self.W < 2:
            raise InputError(f"field: D must be >= 1 and W >= 2, got D={self.D}, W={self.W}")
        if any(not 0 <= skip < self.D - 1 for skip in self.skips) or len(set(self.skips)) < len(self.skips):
            raise InputError(
                f"field: skips must be different and lie in [0, D - 2] = [0, {self.D - 2}], got {self.skips}"
            )


class NeRFMLP(RadianceField):
    """Density and colour of points, as in the paper's figure 7.

    ``D`` layers of width ``W`` with relu lead to the density and a feature; feature and encoded direction lead through one layer of
    width ``W/2`` to the colour.

    Args:
        config: the options.
        dataset: not used.
        further_width: columns that a subclass adds to the encoded position.
    """

    def __init__(self, config: NeRFMLPConfig, dataset: Dataset = NO_DATASET, further_width: int = 0) -> None:
        super().__init__()
        self.config = config
        self.positions = self.make_position_encoding()
        self.directions = FrequencyEncoding(FrequencyEncodingConfig(n_frequencies=config.direction_frequencies))
        width_in = self.positions.width + further_width
        self.trunk = SkipLayers(width_in, config.W, config.D, config.skips, config.implementation)
        self.density_head = nn.Linear(config.W, 1)
        self.feature_head = nn.Linear(config.W, config.W)
        self.appearance = make_appearance(config.appearance, dataset)
        self.needs = self.needs | self.appearance.needs
        width_in = config.W + self.appearance.width + self.directions.width
        self.view_layer = LinearLayers(width_in, config.W // 2, 1)
        self.color_head = nn.Linear(config.W // 2, 3)
        if config.initialisation == "glorot":
            self.apply(_initialise_glorot)

    def make_position_encoding(self) -> Encoding:
        """What the layers see of a position."""
        return FrequencyEncoding(FrequencyEncodingConfig(n_frequencies=self.config.position_frequencies))

    def parts(self) -> Parts:
        """The density does not depend on the feature that the colour sees."""
        return split_parts(self, color=[self.feature_head, self.view_layer, self.color_head, self.appearance])

    def density(self, points: Points) -> Float[Tensor, "n"]:
        """Densities; see :class:`RadianceField`."""
        n = len(points.positions)
        raw = linear(self._trunk_output(points), self.density_head)
        return first_rows(self._activate_density(*raw), n)

    def forward(self, points: Points) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Densities and colours; see :class:`RadianceField`."""
        assert points.directions is not None
        n = len(points.positions)
        hidden = self._trunk_output(points)
        feature, raw_density = linear(hidden, self.feature_head, self.density_head)
        of_photos = [pad_rows(x).to(hidden.dtype) for x in self.appearance.inputs(points)]
        encoded = pad_rows(points.encoded(self.directions, points.directions)).to(hidden.dtype)
        beside = pad_columns(torch.cat([*of_photos, encoded], dim=-1) if of_photos else encoded)
        hidden = self.view_layer(torch.cat([feature, beside], dim=-1))
        (raw_color,) = linear(hidden, self.color_head)
        colors = self.appearance.adjusted(first_rows(self._activate_color(raw_color), n), points)
        return first_rows(self._activate_density(raw_density), n), colors

    def _trunk_output(self, points: Points) -> Tensor:
        dtype = resolve_precision(self.config.precision, points.positions.device)
        return self.trunk(pad_columns(self._encoded(points, dtype)))

    def _encoded(self, points: Points, dtype: torch.dtype) -> Tensor:
        """What the trunk sees."""
        return encode_points(self.positions, points, dtype)

    def _activate_density(self, raw: Tensor) -> Tensor:
        raw = raw.float().squeeze(-1)
        return softplus(raw) if self.config.density_activation == "softplus" else F.relu(raw)

    def _activate_color(self, raw: Tensor) -> Tensor:
        return torch.sigmoid(raw.float())


def _initialise_glorot(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
