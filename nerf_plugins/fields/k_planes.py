"""K-Planes: instant-ngp's networks on features of planes, of scenes that stand still or move."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import Dataset
from nerf_plugins.fields.encodings import KPlanesEncoding, KPlanesEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHash, NeRFHashConfig
from nerf_plugins.fields.plane_losses import distance_from_one, roughness_in_time, total_variation
from nerf_plugins.rays import Needs, Points


@dataclass
class KPlanesConfig(NeRFHashConfig):
    """K-Planes' field."""

    _target: type = field(default_factory=lambda: KPlanes, kw_only=True)
    """target class to instantiate"""
    encoding: KPlanesEncodingConfig = field(default_factory=KPlanesEncodingConfig)
    """The planes."""
    tv_mult: float = 1e-4
    """Weight of the total variation of planes in space."""
    roughness_mult: float = 1e-2
    """Weight of the squared second differences in time: what moves, moves steadily."""
    motion_mult: float = 1e-4
    """Weight of the distance of planes with time from 1, where they change nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("tv_mult", "roughness_mult", "motion_mult"):
            if getattr(self, name) < 0:
                raise InputError(f"field: {name} must be >= 0, got {getattr(self, name):g}")


class KPlanes(NeRFHash):
    """As :class:`NeRFHash`, on planes; six of them, with the time, where the photos are of several times.

    Source: Fridovich-Keil et al., K-Planes, 2023, sections 3.1 to 3.3 (the hybrid model).
    """

    config: KPlanesConfig
    encoding: KPlanesEncoding

    def _make_encodings(self, dataset: Dataset) -> int:
        width = super()._make_encodings(dataset)
        if dataset.moves:
            times: Needs = frozenset({"times"})
            self.needs = self.needs | times
            self.encoding = self.config.encoding.setup(moving=True)  # as wide as the one of a scene that stands still
        return width

    def losses(self, points: Points, weights: Float[Tensor, "n"]) -> dict[str, Tensor]:
        """``tv`` of planes in space, ``roughness`` and ``motion`` of those with time."""
        config, of_time = self.config, self.encoding.planes_of_time
        losses = {"tv": config.tv_mult * total_variation(self.encoding.planes_of_space)}
        if of_time:
            losses["roughness"] = config.roughness_mult * roughness_in_time(of_time)
            losses["motion"] = config.motion_mult * distance_from_one(of_time)
        return losses

    def _encoded(self, points: Points, dtype: torch.dtype) -> Tensor:
        if "times" in self.needs:
            assert points.times is not None  # one more coordinate
            times = points.per_point(2.0 * points.times[:, None] - 1.0)
            points = points._replace(positions=torch.cat([points.positions, times], dim=-1))
        return super()._encoded(points, dtype)
