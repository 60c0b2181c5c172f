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
    """The real spherical harmonics below a degree, of unit directions (n, 3), as nerfstudio orders and scales them.

    Each is a polynomial: all together are one product of the directions' monomials with the coefficients, where nerfstudio's formulae
    are some fifty small operations.
    """

    coefficients: Tensor
    """(n_monomials, width)."""

    def __init__(self, config: SphericalHarmonicsConfig) -> None:
        super().__init__()
        self.config = config
        # The polynomials are found from their values at enough points of space; where xy and yx are both there, each gets half.
        points = torch.randn(512, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        values = components_from_spherical_harmonics(config.degree, points).double()
        solution = torch.linalg.lstsq(_monomials(points, config.degree), values, driver="gelsd").solution
        self.register_buffer("coefficients", solution.float(), persistent=False)

    @property
    def width(self) -> int:
        """``degree^2``."""
        return self.config.degree**2

    def forward(self, x: Float[Tensor, "n 3"], dtype: torch.dtype = torch.float32) -> Float[Tensor, "n width"]:
        """Their values."""
        return (_monomials(x, self.config.degree) @ self.coefficients).to(dtype)


def _monomials(x: Float[Tensor, "n 3"], degree: int) -> Float[Tensor, "n n_monomials"]:
    """1, the coordinates, their products of two, ... of ``degree - 1``."""
    products = [x.new_ones(len(x), 1)]
    for _ in range(1, degree):
        products.append((products[-1][:, :, None] * x[:, None]).flatten(1))
    return torch.cat(products, dim=-1)
