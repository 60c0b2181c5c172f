"""What every encoding of coordinates offers, whatever is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from nerfstudio.configs.base_config import InstantiateConfig
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.rays import Need, Needs


@dataclass
class EncodingConfig(InstantiateConfig):
    """An encoding of coordinates; ``setup()`` makes it."""


class Encoding(nn.Module, ABC):
    """Features of coordinates: what a field's layers see in their place."""

    cones: ClassVar[Need | None] = None
    """What it wants to know of the piece of a pixel's cone around a point: "scales" for :meth:`damping`, "covariances" for
    :meth:`integrated`, None if it can make nothing of its size."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of features."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "n d"], dtype: torch.dtype = torch.float32) -> Float[Tensor, "n width"]:
        """Features of coordinates in [-1, 1], in the dtype that the next layer computes in; differentiable in x and the parameters."""

    def backward(self, x: Float[Tensor, "n d"], grad: Float[Tensor, "n width"]) -> Float[Tensor, "n d"]:
        """Gradient with respect to x, in float32, from that with respect to the features; itself differentiable, with or without
        autograd switched on.

        Signed distance fields need it. This one asks autograd; an encoding that can do better does.
        """
        keep = torch.is_grad_enabled()
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            (grad_x,) = torch.autograd.grad(self(x), x, grad.float(), create_graph=keep)
        return grad_x

    def damping(self, scales: Float[Tensor, "n"]) -> Float[Tensor, "n width"]:
        """What is left of each feature around a point, in [0, 1], as the mean over a Gaussian with that standard deviation.

        Args:
            scales: standard deviations >= 0, in the unit of x.
        """
        raise NotImplementedError

    def integrated(
        self, x: Float[Tensor, "n 3"], covariances: Float[Tensor, "n 3 3"], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n width"]:
        """The mean of the features over Gaussians around x.

        Args:
            x: means, in [-1, 1]^3.
            covariances: in the unit of x, squared.
            dtype: of the features.
        """
        raise NotImplementedError

    def set_progress(self, progress: float) -> None:
        """Tells how far training is, in [0, 1]; encodings that go from coarse to fine follow it."""

    @property
    def stage(self) -> int:
        """Another number whenever it launches something else than before, so that what was recorded of it does not hold any more. What
        changes in tensors alone is no other stage."""
        return 0


def cones_of(encoding: Encoding) -> Needs:
    """What a field that takes the size of cones into account needs for its encoding.

    Raises:
        InputError: the encoding can make nothing of it.
    """
    if encoding.cones is None:
        raise InputError(
            f"field: cones is True, but {type(encoding).__name__} does not know the size of what it encodes: "
            "set cones to False, or take the hash or frequency encoding"
        )
    return frozenset([encoding.cones])
