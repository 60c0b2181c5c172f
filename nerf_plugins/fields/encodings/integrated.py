"""Integrated positional encoding: that of a Gaussian, so of a piece of a pixel's cone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings.base import Encoding, EncodingConfig


@dataclass
class IntegratedEncodingConfig(EncodingConfig):
    """Positional encoding of pieces of cones."""

    _target: type = field(default_factory=lambda: IntegratedEncoding, kw_only=True)
    """target class to instantiate"""
    n_frequencies: int = 16
    """Octaves. Those finer than a piece of a cone are 0 for it, so that many do no harm."""
    base_frequency: float = torch.pi
    """Angular frequency of the first octave."""
    basis: Literal["axes", "icosahedron"] = "axes"
    """Directions along which sine and cosine are taken. axes: x, y and z (Mip-NeRF).
    icosahedron: 21 (Mip-NeRF 360), which tell a long thin Gaussian from a round one whichever way it lies."""

    def __post_init__(self) -> None:
        if self.n_frequencies < 1 or not self.base_frequency > 0:
            raise InputError(
                f"integrated encoding: n_frequencies must be >= 1 and base_frequency > 0, got {self.n_frequencies} "
                f"and {self.base_frequency:g}"
            )


class IntegratedEncoding(Encoding):
    r"""The mean of :math:`(\sin(2^l \omega\, p \cdot x), \cos(2^l \omega\, p \cdot x))` over :math:`x \sim N(\mu, \Sigma)`, for the octaves
    l = 0 .. n_frequencies-1 and the directions p of the basis: sine and cosine of the mean, each times
    :math:`\exp(-\tfrac{1}{2} 4^l \omega^2\, p^\top \Sigma\, p)`.

    Source: Barron et al., Mip-NeRF, 2021, equations 13 and 14; Mip-NeRF 360, 2022, section 1 of the supplement (the basis).
    """

    cones = "covariances"
    basis: Tensor
    """(n_directions, 3), unit vectors."""
    frequencies: Tensor
    """(n_frequencies,), angular."""

    def __init__(self, config: IntegratedEncodingConfig) -> None:
        super().__init__()
        self.config = config
        basis = torch.eye(3) if config.basis == "axes" else icosahedron_directions()
        self.register_buffer("basis", basis, persistent=False)
        octaves = config.base_frequency * 2.0 ** torch.arange(config.n_frequencies)
        self.register_buffer("frequencies", octaves, persistent=False)

    @property
    def width(self) -> int:
        """``2 n_frequencies`` times the number of directions."""
        return 2 * self.config.n_frequencies * len(self.basis)

    def forward(self, x: Float[Tensor, "n 3"], dtype: torch.dtype = torch.float32) -> Float[Tensor, "n width"]:
        """Of Gaussians without extent: the positional encoding along the basis, sines before cosines, octave by octave."""
        phases = self._phases(x)
        return torch.cat([torch.sin(phases), torch.cos(phases)], dim=-1).to(dtype)

    def integrated(
        self, x: Float[Tensor, "n 3"], covariances: Float[Tensor, "n 3 3"], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n width"]:
        """Of Gaussians with these means and covariances; differentiable in both."""
        phases = self._phases(x)
        variances = ((self.basis @ covariances) * self.basis).sum(-1)
        damping = torch.exp(-0.5 * self.frequencies[:, None] ** 2 * variances[:, None]).flatten(1)
        return torch.cat([torch.sin(phases) * damping, torch.cos(phases) * damping], dim=-1).to(dtype)

    def _phases(self, x: Tensor) -> Tensor:
        return ((x @ self.basis.t())[:, None] * self.frequencies[:, None]).flatten(1)


def icosahedron_directions() -> Float[Tensor, "21 3"]:
    """The corners of an icosahedron whose faces are cut into four, as unit vectors, one of each opposite pair: its 12 corners and the
    30 middles of its edges.

    Source: Barron et al., Mip-NeRF 360, 2022, section 1 of the supplement.

    Example:
        >>> directions = icosahedron_directions()
        >>> torch.allclose(directions.t() @ directions, 7.0 * torch.eye(3), atol=1e-5)  # even over all directions
        True
    """
    golden = (1.0 + math.sqrt(5.0)) / 2.0
    signs = (-1.0, 1.0)
    rectangle = torch.tensor([[0.0, a, b * golden] for a in signs for b in signs], dtype=torch.float64)
    corners = torch.cat([rectangle.roll(shift, dims=1) for shift in range(3)])
    first, second = torch.triu_indices(12, 12, offset=1)
    is_edge = ((corners[first] - corners[second]).norm(dim=-1) - 2.0).abs() < 1e-6
    middles = (0.5 * (corners[first] + corners[second]))[is_edge]
    points = torch.nn.functional.normalize(torch.cat([corners, middles]), dim=-1)
    return points[_leads_its_opposite(points)].float()


def _leads_its_opposite(points: Tensor) -> Tensor:
    """Whether the first coordinate of each that is not 0 is positive."""
    x, y, z = torch.where(points.abs() < 1e-9, 0.0, points).unbind(-1)
    return (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
