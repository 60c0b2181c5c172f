"""What every signed distance field offers, whatever is inside, and the variance that turns distances into opacities."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from nerfstudio.configs.base_config import InstantiateConfig
from torch import Tensor, nn

# inv_s stays within 1e-6 and 1e6.
_LOG_LIMIT = math.log(1e6)


@dataclass
class SDFFieldConfig(InstantiateConfig):
    """A signed distance field with colour; ``setup()`` makes it."""


class Geometry(NamedTuple):
    """A signed distance field at some points."""

    sdf: Float[Tensor, "n"]
    """Distance to the surface, negative inside, in units of the field's cube: its side is 2."""
    gradients: Float[Tensor, "n 3"]
    """Gradient of the distance with respect to the position; of length 1 where the distance is one."""
    features: Float[Tensor, "n width"]
    """What the colour network sees besides."""


class SDFField(nn.Module, ABC):
    """Signed distance and view-dependent colour of points in [-1, 1]^3."""

    @abstractmethod
    def sdf(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """The distances alone."""

    @abstractmethod
    def geometry(self, positions: Float[Tensor, "n 3"]) -> Geometry:
        """Distances, their gradients and features; differentiable in the parameters, with or without autograd switched on."""

    @abstractmethod
    def color(
        self, positions: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"], geometry: Geometry
    ) -> Float[Tensor, "n 3"]:
        """Colours in [0, 1] of points seen along unit directions."""

    def set_progress(self, progress: float) -> None:
        """Tells how far training is, in [0, 1]; fields that learn from coarse to fine follow it."""


@torch.no_grad()
def settle_on_sphere(field: SDFField, bias: nn.Parameter, radius: float) -> None:
    """Shifts the bias of the distance so that it is 0 on average over a sphere: random weights alone miss the radius by so much that
    a small ball may have no inside."""
    directions = F.normalize(torch.randn(1024, 3), dim=-1)
    bias.sub_(field.sdf(radius * directions).mean())


class Variance(nn.Module):
    r"""The learnt sharpness of the surface, ``inv_s`` :math:`= e^{10 v}`, in 1 / unit of the field's cube.

    Source: Wang et al., NeuS, 2021, section 3.1; their code's parametrisation.

    Args:
        initial: v at the start; 0.3 gives 20.
    """

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.v = nn.Parameter(torch.tensor(initial))

    def forward(self) -> Float[Tensor, ""]:
        """``inv_s``, within what float32 takes."""
        return torch.exp(
            (10.0 * self.v).clamp(-_LOG_LIMIT, _LOG_LIMIT)
        )  # clamped before, since exp's infinity has no gradient
