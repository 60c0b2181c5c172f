"""Slices: where a time lies in the further dimensions of a canonical scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import Dataset
from nerf_plugins.fields.codes import TimeCodes
from nerf_plugins.fields.encodings import WindowedEncoding, WindowedEncodingConfig
from nerf_plugins.fields.layers import SkipLayers, first_rows, linear, pad_columns, pad_rows
from nerf_plugins.fields.precision import Precision, resolve_precision
from nerf_plugins.rays import Points

OfTime = Callable[[Points], Tensor]
"""What a network knows of each point's time: its code, or its encoding."""


@dataclass
class SheetConfig:
    """A sheet that is bent in the further dimensions"""

    D: int = 6
    """Number of layers."""
    W: int = 64
    """Width of the layers."""
    skips: tuple[int, ...] = (3,)
    """After these layers (counted from 0) the encoded position and the code are concatenated again."""
    position: WindowedEncodingConfig = field(
        default_factory=lambda: WindowedEncodingConfig(n_frequencies=6, keeps_input=False)
    )
    """The encoding of the position."""
    precision: Precision = "auto"
    """Arithmetic of the layers. auto: bf16 where the device multiplies it faster, else fp32."""

    def __post_init__(self) -> None:
        if self.D < 1 or self.W < 1:
            raise InputError(f"sheet: D and W must be >= 1, got D={self.D}, W={self.W}")
        if any(not 0 <= skip < self.D - 1 for skip in self.skips) or len(set(self.skips)) < len(self.skips):
            raise InputError(
                f"sheet: skips must be different and lie in [0, D - 2] = [0, {self.D - 2}], got {self.skips}"
            )


class Sheet(nn.Module):
    """A network of the position and of the warp's code of its time; it starts as the plane through 0.

    Source: HyperNeRF, section 4.2 ("deformable slicing surface").

    Args:
        config: the options.
        n_ambient: further dimensions.
        time_width: numbers that are known of a time.
    """

    def __init__(self, config: SheetConfig, n_ambient: int, time_width: int) -> None:
        super().__init__()
        self.config = config
        self.position = WindowedEncoding(config.position, 3)
        self.layers = SkipLayers(self.position.width + time_width, config.W, config.D, config.skips)
        self.head = nn.Linear(config.W, n_ambient)
        nn.init.normal_(self.head.weight, std=1e-5)
        nn.init.zeros_(self.head.bias)

    def forward(self, points: Points, of_time: OfTime) -> Float[Tensor, "n n_ambient"]:
        """Ambient coordinates in float32."""
        n, dtype = len(points.positions), resolve_precision(self.config.precision, points.positions.device)
        inputs = torch.cat([self.position(pad_rows(points.positions), dtype), pad_rows(of_time(points)).to(dtype)], -1)
        (ambient,) = linear(self.layers(pad_columns(inputs)), self.head)
        return first_rows(ambient.float(), n)


class Plane(nn.Module):
    """The same place for all points of a time: a code of its own.

    Source: HyperNeRF, section 4.2 ("axis-aligned slicing plane").

    Args:
        n_ambient: further dimensions.
        dataset: whose photos' times have places.
    """

    def __init__(self, n_ambient: int, dataset: Dataset) -> None:
        super().__init__()
        self.codes = TimeCodes(dataset, n_ambient)

    def forward(self, points: Points, of_time: OfTime) -> Float[Tensor, "n n_ambient"]:
        """Ambient coordinates in float32."""
        return self.codes(points)
