"""The radiance field of mip-NeRF: the NeRF paper's MLP, of pieces of cones in place of points."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import NO_DATASET, Dataset
from nerf_plugins.fields.encodings import Encoding, IntegratedEncodingConfig
from nerf_plugins.fields.nerf_mlp import NeRFMLP, NeRFMLPConfig
from nerf_plugins.rays import Needs


@dataclass
class MipNeRFConfig(NeRFMLPConfig):
    """The MLP of mip-NeRF, and of Mip-NeRF 360."""

    _target: type = field(default_factory=lambda: MipNeRF, kw_only=True)
    """target class to instantiate"""
    position_frequencies: int = 16
    """Octaves of the integrated encoding (mip-NeRF's; 360 has 12). Those finer than a piece of a cone are 0."""
    basis: Literal["axes", "icosahedron"] = "axes"
    """Directions along which the encoding takes sine and cosine: x, y and z, or Mip-NeRF 360's 21."""
    density_bias: float = -1.0
    """Added to what the density's activation gets, so that training starts with thin fog."""
    color_padding: float = 0.001
    """Colours reach this far beyond 0 and 1, so that black and white are not infinitely far away."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.color_padding >= 0:
            raise InputError(f"field: color_padding must be >= 0, got {self.color_padding}")


class MipNeRF(NeRFMLP):
    r"""Density :math:`\operatorname{softplus}(x - 1)` and colour of the Gaussian around each point, by its integrated encoding.

    Source: Barron et al., Mip-NeRF, 2021, section 3; Mip-NeRF 360, 2022, for the basis of the encoding.
    """

    needs: Needs = frozenset({"covariances"})
    config: MipNeRFConfig

    def __init__(self, config: MipNeRFConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__(config, dataset)

    def make_position_encoding(self) -> Encoding:
        """The integrated encoding."""
        options = IntegratedEncodingConfig(n_frequencies=self.config.position_frequencies, basis=self.config.basis)
        return options.setup()

    def _activate_density(self, raw: Tensor) -> Tensor:
        return super()._activate_density(raw.float() + self.config.density_bias)

    def _activate_color(self, raw: Tensor) -> Tensor:
        padding = self.config.color_padding
        return (1.0 + 2.0 * padding) * super()._activate_color(raw) - padding
