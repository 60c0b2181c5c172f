"""What every warp offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from jaxtyping import Float
from nerfstudio.configs.base_config import InstantiateConfig
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import Dataset
from nerf_plugins.fields.encodings import WindowedEncodingConfig
from nerf_plugins.fields.precision import Precision
from nerf_plugins.rays import Needs, Points


@dataclass
class WarpConfig(InstantiateConfig):
    """A warp; ``setup(dataset=...)`` makes it."""

    D: int = 8
    """Number of layers."""
    W: int = 256
    """Width of the layers."""
    skips: tuple[int, ...] = (4,)
    """After these layers (counted from 0) the encoded position and time are concatenated again."""
    position: WindowedEncodingConfig = field(default_factory=lambda: WindowedEncodingConfig(n_frequencies=10))
    """The encoding of the position."""
    time: WindowedEncodingConfig = field(default_factory=lambda: WindowedEncodingConfig(n_frequencies=10))
    """The encoding of the time."""
    precision: Precision = "auto"
    """Arithmetic of the layers. auto: bf16 where the device multiplies it faster, else fp32."""

    def __post_init__(self) -> None:
        if self.D < 1 or self.W < 1:
            raise InputError(f"warp: D and W must be >= 1, got D={self.D}, W={self.W}")
        if any(not 0 <= skip < self.D - 1 for skip in self.skips) or len(set(self.skips)) < len(self.skips):
            raise InputError(
                f"warp: skips must be different and lie in [0, D - 2] = [0, {self.D - 2}], got {self.skips}"
            )


class Warp(nn.Module, ABC):
    """Takes points of any time to where they lie in the canonical scene."""

    needs: Needs = frozenset({"times"})
    """What it asks of points besides positions; see :class:`nerf_plugins.rays.Points`."""

    @abstractmethod
    def forward(self, points: Points) -> Float[Tensor, "n 3"]:
        """Their positions in the canonical scene, in the field's units, float32; differentiable in positions and parameters."""

    def losses(self, points: Points, weights: Float[Tensor, "n"]) -> dict[str, Tensor]:
        """Regularisers, as ``Field.losses``."""
        return {}


def start_small(head: nn.Linear) -> nn.Linear:
    """A last layer whose outputs are near 0 at first. Source: Park et al., Nerfies, 2021, appendix A."""
    nn.init.uniform_(head.weight, -1e-4, 1e-4)
    nn.init.zeros_(head.bias)
    return head


def check_motion(dataset: Dataset) -> None:
    """Checks that the photos are not all of one time.

    Raises:
        InputError: they are.
    """
    times = dataset.times
    if times is not None and len(times) > 1 and not dataset.moves:
        raise InputError(
            f"field: all {len(times)} photos have the time {float(times[0]):g}, so nothing is seen to move: "
            "use a method for scenes that hold still (nerf-hash-custom)"
        )


def first_time(dataset: Dataset) -> float:
    """The time of the first photo; 0 where the dataset gives none."""
    return 0.0 if dataset.times is None or not len(dataset.times) else float(dataset.times.min())


def times_of(points: Points) -> Float[Tensor, "n"]:
    """The time of each point."""
    assert points.times is not None, "a warp needs times"
    return points.per_point(points.times)
