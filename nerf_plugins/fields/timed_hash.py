"""The plain way to a moving scene: instant-ngp's field with the time as one more coordinate of its network."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from nerf_plugins.fields.base import NO_DATASET, Dataset
from nerf_plugins.fields.encodings import WindowedEncoding, WindowedEncodingConfig
from nerf_plugins.fields.layers import pad_rows
from nerf_plugins.fields.nerf_hash import NeRFHash, NeRFHashConfig
from nerf_plugins.fields.warps.base import check_motion
from nerf_plugins.rays import Needs, Points


@dataclass
class TimedHashConfig(NeRFHashConfig):
    """instant-ngp's field with the time."""

    _target: type = field(default_factory=lambda: TimedHash, kw_only=True)
    """target class to instantiate"""
    density_layers: int = 3
    """Hidden layers of the density network, which mixes position and time."""
    time: WindowedEncodingConfig = field(default_factory=lambda: WindowedEncodingConfig(n_frequencies=4))
    """The encoding of the time."""


class TimedHash(NeRFHash):
    """As :class:`NeRFHash`, but its networks see the encoded time beside the encoded position.

    Nothing says that what is seen at two times is the same thing moved. Source: T-NeRF, the baseline of Pumarola et al., D-NeRF, 2021,
    section 5, on a hash encoding.

    Raises:
        InputError: all photos are of one time.
    """

    config: TimedHashConfig
    needs: Needs = frozenset({"times"})

    def __init__(self, config: TimedHashConfig, dataset: Dataset = NO_DATASET) -> None:
        check_motion(dataset)
        super().__init__(config, dataset)

    def _make_encodings(self, dataset: Dataset) -> int:
        self.time = WindowedEncoding(self.config.time, 1)
        return super()._make_encodings(dataset) + self.time.width

    def _encoded(self, points: Points, dtype: torch.dtype) -> Tensor:
        assert points.times is not None
        times = pad_rows(points.encoded(self.time, 2.0 * points.times[:, None] - 1.0)).to(dtype)
        return torch.cat([super()._encoded(points, dtype), times], dim=-1)
