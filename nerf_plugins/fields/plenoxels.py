"""Plenoxels' radiance field: a grid of densities and spherical harmonics, and no network."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import NO_DATASET, Dataset, Parts, RadianceField, RadianceFieldConfig
from nerf_plugins.fields.encodings import SphericalHarmonics, SphericalHarmonicsConfig
from nerf_plugins.fields.voxels import VoxelGrid, VoxelGridConfig
from nerf_plugins.rays import Points


@dataclass
class PlenoxelsConfig(RadianceFieldConfig):
    """Plenoxels' field."""

    _target: type = field(default_factory=lambda: Plenoxels, kw_only=True)
    """target class to instantiate"""
    voxels: VoxelGridConfig = field(default_factory=VoxelGridConfig)
    """The grid."""
    directions: SphericalHarmonicsConfig = field(default_factory=lambda: SphericalHarmonicsConfig(degree=3))
    """How a colour depends on the direction: degree^2 numbers for each of red, green and blue."""
    density_scale: float = 30.0
    """Density of the number 1, in 1 / unit of the scene."""
    initial_density: float = 0.1
    """Density at the start, in 1 / unit of the scene."""

    def __post_init__(self) -> None:
        for name in ("density_scale", "initial_density"):
            if not getattr(self, name) > 0:
                raise InputError(f"field: {name} must be > 0, got {getattr(self, name):g}")


class Plenoxels(RadianceField):
    r"""Density :math:`s \max(\sum_c w_c \sigma_c, 0)`, colour :math:`\operatorname{sigmoid}(\sum_k Y_k(d) \sum_c w_c a_{c,k})` with the
    trilinear weights of the vertices c and the spherical harmonics :math:`Y_k` of the direction.

    Source: Fridovich-Keil & Yu et al., Plenoxels: Radiance Fields without Neural Networks, 2022, section 3; the sigmoid, which keeps
    colours in [0, 1], is that of Yu et al., PlenOctrees, 2021, equation 5.
    """

    def __init__(self, config: PlenoxelsConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__()
        self.config = config
        self.directions: SphericalHarmonics = config.directions.setup()
        self.voxels: VoxelGrid = config.voxels.setup(
            color_width=3 * self.directions.width,
            density=config.initial_density / config.density_scale,
            activate=lambda numbers: config.density_scale * F.relu(numbers),
        )

    def param_groups(self) -> dict[str, list[Parameter]]:
        """Densities and colours, which learn at rates of their own."""
        return {"density_grid": [self.voxels.density], "color_grid": [self.voxels.color]}

    def parts(self) -> Parts:
        """Densities, and colours."""
        return {"geometry": [self.voxels.density], "color": [self.voxels.color]}

    def density(self, points: Points) -> Float[Tensor, "n"]:
        """Densities; see :class:`RadianceField`."""
        return self.voxels.densities(points.positions)

    def forward(self, points: Points) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Densities and colours; see :class:`RadianceField`."""
        assert points.directions is not None
        harmonics = points.encoded(self.directions, points.directions)
        coefficients = self.voxels.colors(points.positions).unflatten(1, (3, -1))
        colors = torch.sigmoid((coefficients * harmonics[:, None]).sum(-1))
        return self.density(points), colors

    def losses(self, points: Points, weights: Float[Tensor, "n"]) -> dict[str, Tensor]:
        """Total variation."""
        return self.voxels.losses()
