"""What every signed distance field offers, whatever is inside, and the variance that turns distances into opacities."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from nerfstudio.configs.base_config import InstantiateConfig
from torch import Tensor, nn

from nerf_plugins.calls import call_size
from nerf_plugins.errors import InputError
from nerf_plugins.fields.appearance import AppearanceConfig
from nerf_plugins.fields.base import Field
from nerf_plugins.fields.precision import Precision
from nerf_plugins.rays import Points, in_pieces

# inv_s stays within 1e-6 and 1e6.
_LOG_LIMIT = math.log(1e6)


@dataclass
class SDFFieldConfig(InstantiateConfig):
    """A signed distance field with colour; ``setup(dataset=...)`` makes it."""

    radius: float = 0.5
    """Radius of the sphere that the field starts as; the field's cube has the side 2.
    It starts as a smaller one where a camera would stand in the ball."""
    inside_out: bool = False
    """Start as a hollow sphere that the cameras stand in (rooms), not as a ball that they stand around."""
    appearance: AppearanceConfig = AppearanceConfig()  # noqa: RUF009 - frozen
    """What differs between the photos: light, exposure, style; seen by the colour alone."""
    precision: Precision = "auto"
    """Arithmetic of the colour network. auto: bf16 where the device multiplies it faster, else fp32.
    The distance is always fp32: bf16 would round it to more than the width of a learnt surface."""

    def __post_init__(self) -> None:
        if not 0 < self.radius < 1:
            raise InputError(f"field: radius must be in (0, 1), got {self.radius}")

    @property
    def sign(self) -> float:
        """Of the distance outside of the sphere that the field starts as."""
        return -1.0 if self.inside_out else 1.0


class Geometry(NamedTuple):
    """A signed distance field at some points."""

    sdf: Float[Tensor, "n"]
    """Distance to the surface, negative inside, in units of the field's cube: its side is 2."""
    gradients: Float[Tensor, "n 3"]
    """Gradient of the distance with respect to the position; of length 1 where the distance is one."""
    features: Float[Tensor, "n width"]
    """What the colour network sees besides."""


class SDFField(Field):
    """Signed distance and view-dependent colour of points in [-1, 1]^3."""

    @abstractmethod
    def sdf(self, points: Points) -> Float[Tensor, "n"]:
        """The distances alone. Asks for no directions."""

    @abstractmethod
    def geometry(self, points: Points) -> Geometry:
        """Distances, their gradients and features; differentiable in the parameters, with or without autograd switched on. Asks for no
        directions."""

    @abstractmethod
    def color(self, points: Points, geometry: Geometry) -> Float[Tensor, "n 3"]:
        """Colours in [0, 1] as seen along the points' directions."""


class Surface(NamedTuple):
    """A level of a signed distance field, and how sharp it is: what the samplers of NeuS look for."""

    field: SDFField
    inv_s: Float[Tensor, ""]
    """Sharpness, in 1 / unit of the field's cube; without gradient."""
    level: float = 0.0
    """The distance at which the surface is shown; other than 0 only in the viewer."""

    @torch.no_grad()
    def sdf(self, points: Points) -> Float[Tensor, "n"]:
        """Distances to it, in pieces, without gradient."""
        return in_pieces(self.field.sdf, points, points_a_call(points.positions.device)) - self.level


def points_a_call(device: torch.device) -> int:
    """Points of a call without gradient: pictures, grids, and the march to the surface, whose batch is one call on CUDA."""
    return call_size(device, cpu=1 << 13, cuda=1 << 19)


@torch.no_grad()
def settle_on_sphere(field: SDFField, bias: nn.Parameter, radius: float) -> None:
    """Shifts the bias of the distance so that the distance of its surface from the origin is the radius, on average over all directions, to
    first order: random weights alone miss the radius by so much that a small ball may have no inside."""
    directions = F.normalize(torch.randn(1024, 3), dim=-1)
    geometry = field.geometry(Points(radius * directions))
    steps = 1.0 / (geometry.gradients * directions).sum(-1)  # the surface moves so far where the bias changes by 1
    bias.sub_((geometry.sdf * steps).sum() / steps.sum())


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
        # Clamped before, since exp's infinity has no gradient; hardtanh is a clamp with one launch in its backward pass.
        return torch.exp(F.hardtanh(10.0 * self.v, -_LOG_LIMIT, _LOG_LIMIT))
