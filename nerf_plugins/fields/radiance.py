"""What every radiance field offers, whatever is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from nerfstudio.configs.base_config import InstantiateConfig
from torch import Tensor, nn


@dataclass
class RadianceFieldConfig(InstantiateConfig):
    """A radiance field; ``setup()`` makes it."""


class RadianceField(nn.Module, ABC):
    """Density and view-dependent colour of points."""

    @abstractmethod
    def density(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Density >= 0 at positions in [-1, 1]^3; in 1 / unit of the space that the samples are marched in."""

    @abstractmethod
    def forward(
        self, positions: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Densities >= 0 and colours in [0, 1].

        Args:
            positions: in [-1, 1]^3.
            directions: unit view directions.
        """
