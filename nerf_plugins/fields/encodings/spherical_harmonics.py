"""Spherical harmonics of directions."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from nerfstudio.utils.math import components_from_spherical_harmonics
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings.base import Encoding, EncodingConfig


@dataclass
class SphericalHarmonicsConfig(EncodingConfig):
    """Spherical harmonics of unit directions."""

    _target: type = field(default_factory=lambda: SphericalHarmonics, kw_only=True)
    """target class to instantiate"""
    degree: int = 4
    """Degrees, 1 to 5: degree^2 features."""

    def __post_init__(self) -> None:
        if not 1 <= self.degree <= 5:
            raise InputError(f"spherical harmonics: degree must be in [1, 5], got {self.degree}")


class SphericalHarmonics(Encoding):
    """The real spherical harmonics below a degree, of unit directions (n, 3); nerfstudio's."""

    def __init__(self, config: SphericalHarmonicsConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def width(self) -> int:
        """``degree^2``."""
        return self.config.degree**2

    def forward(self, x: Float[Tensor, "n 3"], dtype: torch.dtype = torch.float32) -> Float[Tensor, "n width"]:
        """Their values."""
        return components_from_spherical_harmonics(self.config.degree, x).to(dtype)
