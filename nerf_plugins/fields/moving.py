"""A radiance field for scenes that move: a hash table for what is there at all times, planes with the time for what is not."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from nerf_plugins.fields.base import NO_DATASET, Dataset
from nerf_plugins.fields.encodings import Encoding, EncodingConfig, HashEncodingConfig
from nerf_plugins.fields.k_planes import KPlanes, KPlanesConfig
from nerf_plugins.fields.layers import encode_points
from nerf_plugins.fields.warps.base import check_motion
from nerf_plugins.rays import Points


@dataclass
class MovingFieldConfig(KPlanesConfig):
    """Planes with the time, and a hash table."""

    _target: type = field(default_factory=lambda: MovingField, kw_only=True)
    """target class to instantiate"""
    table: EncodingConfig = field(default_factory=HashEncodingConfig)
    """The encoding of the position alone."""


class MovingField(KPlanes):
    """As :class:`KPlanes`, but its networks see a hash encoding of the position beside the planes' features.

    Planes are coarse: what stands still is fine where a table says it. The table knows no time: what moves is the planes'. Where both see
    the same, the networks weigh them. Source: Müller et al., Instant Neural Graphics Primitives, 2022, section 5.4, and Fridovich-Keil et
    al., K-Planes, 2023, section 3; that a static and a moving part are told apart as in Wang et al., MixVoxels, 2023, but here by features.

    Raises:
        InputError: all photos are of one time.
    """

    config: MovingFieldConfig

    def __init__(self, config: MovingFieldConfig, dataset: Dataset = NO_DATASET) -> None:
        check_motion(dataset)
        super().__init__(config, dataset)

    def _make_encodings(self, dataset: Dataset) -> int:
        self.table: Encoding = self.config.table.setup()
        return super()._make_encodings(dataset) + self.table.width

    def _encoded(self, points: Points, dtype: torch.dtype) -> Tensor:
        return torch.cat([encode_points(self.table, points, dtype), super()._encoded(points, dtype)], dim=-1)
