"""DVGO's radiance field: a grid of densities, activated after interpolation, and one of features for a shallow colour network."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Parameter

from nerf_plugins.errors import InputError
from nerf_plugins.fields.activations import softplus
from nerf_plugins.fields.appearance import AppearanceConfig, make_appearance
from nerf_plugins.fields.base import NO_DATASET, Dataset, Parts, RadianceField, RadianceFieldConfig
from nerf_plugins.fields.encodings import SphericalHarmonics, SphericalHarmonicsConfig
from nerf_plugins.fields.layers import LinearLayers, first_rows, linear, pad_columns, pad_rows
from nerf_plugins.fields.precision import Precision, resolve_precision
from nerf_plugins.fields.voxels import VoxelGrid, VoxelGridConfig
from nerf_plugins.rays import Points


@dataclass
class DVGOConfig(RadianceFieldConfig):
    """DVGO's field."""

    _target: type = field(default_factory=lambda: DVGO, kw_only=True)
    """target class to instantiate"""
    voxels: VoxelGridConfig = field(default_factory=VoxelGridConfig)
    """The grids."""
    feature_width: int = 12
    """Numbers of a vertex that the colour network sees."""
    appearance: AppearanceConfig = AppearanceConfig()  # noqa: RUF009 - frozen
    """What differs between the photos: light, exposure, style; seen by the colour alone."""
    width: int = 64
    """Width of the colour network's hidden layers."""
    color_layers: int = 1
    """Hidden layers of the colour network."""
    directions: SphericalHarmonicsConfig = field(default_factory=SphericalHarmonicsConfig)
    """The encoding of the view direction."""
    density_scale: float = 30.0
    """Density of large numbers is this many times the number, in 1 / unit of the scene."""
    initial_alpha: float = 1e-4
    """Opacity at the start of a piece of ray as long as 1 / density_scale: low, so that the cameras' surroundings stay empty."""
    precision: Precision = "auto"
    """Arithmetic of the layers. auto: bf16 where the device multiplies it faster, else fp32. The grids are fp32."""

    def __post_init__(self) -> None:
        for name in ("feature_width", "width", "color_layers"):
            if getattr(self, name) < 1:
                raise InputError(f"field: {name} must be >= 1, got {getattr(self, name)}")
        if not self.density_scale > 0:
            raise InputError(f"field: density_scale must be > 0, got {self.density_scale:g}")
        if not 0 < self.initial_alpha < 1:
            raise InputError(f"field: initial_alpha must be in (0, 1), got {self.initial_alpha:g}")

    @property
    def bias(self) -> float:
        r""":math:`\log((1 - \alpha_0)^{-1} - 1)`: its softplus is the optical depth :math:`-\log(1 - \alpha_0)`.

        Source: Sun et al., 2022, equation 9.
        """
        return math.log(math.expm1(-math.log1p(-self.initial_alpha)))


class DVGO(RadianceField):
    r"""Density :math:`s \operatorname{softplus}(\sum_c w_c \sigma_c + b)`, colour by a few layers of interpolated features and direction.

    Activated after interpolation, a sharp surface can lie anywhere inside a cell. Source: Sun et al., Direct Voxel Grid Optimization,
    2022, sections 4 and 5.
    """

    def __init__(self, config: DVGOConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__()
        self.config = config
        self.directions: SphericalHarmonics = config.directions.setup()
        self.voxels: VoxelGrid = config.voxels.setup(
            color_width=config.feature_width,
            density=0.0,
            activate=lambda numbers: config.density_scale * softplus(numbers + config.bias),
        )
        self.appearance = make_appearance(config.appearance, dataset)
        self.needs = self.needs | self.appearance.needs
        seen = config.feature_width + self.appearance.width + self.directions.width
        self.color_layers = LinearLayers(seen, config.width, config.color_layers)
        self.color_head = nn.Linear(config.width, 3)

    def param_groups(self) -> dict[str, list[Parameter]]:
        """Densities, features and network, which learn at rates of their own."""
        return {
            "density_grid": [self.voxels.density],
            "color_grid": [self.voxels.color],
            "fields": [
                *self.color_layers.parameters(),
                *self.color_head.parameters(),
                *self.appearance.parameters(),
            ],
        }

    def parts(self) -> Parts:
        """Densities, and all else."""
        groups = self.param_groups()
        return {"geometry": groups["density_grid"], "color": groups["color_grid"] + groups["fields"]}

    def density(self, points: Points) -> Float[Tensor, "n"]:
        """Densities; see :class:`RadianceField`."""
        return self.voxels.densities(points.positions)

    def forward(self, points: Points) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Densities and colours; see :class:`RadianceField`."""
        assert points.directions is not None
        dtype = resolve_precision(self.config.precision, points.positions.device)
        directions = points.encoded(self.directions, points.directions)
        of_photos = self.appearance.inputs(points)
        features = torch.cat([self.voxels.colors(points.positions), *of_photos, directions], dim=-1)
        hidden = self.color_layers(pad_columns(pad_rows(features)).to(dtype))
        (color,) = linear(hidden, self.color_head)
        colors = first_rows(torch.sigmoid(color.float()), len(points.positions))
        return self.density(points), self.appearance.adjusted(colors, points)

    def losses(self, points: Points, weights: Float[Tensor, "n"]) -> dict[str, Tensor]:
        """Total variation."""
        return self.voxels.losses()
