"""D-NeRF's warp: a displacement to the first time."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.fields.base import NO_DATASET, Dataset
from nerf_plugins.fields.warps.base import first_time, times_of
from nerf_plugins.fields.warps.network import NetworkWarp, NetworkWarpConfig
from nerf_plugins.rays import Points


@dataclass
class DisplacementConfig(NetworkWarpConfig):
    """A displacement to the first time."""

    _target: type = field(default_factory=lambda: Displacement, kw_only=True)
    """target class to instantiate"""


class Displacement(NetworkWarp):
    r"""Where a point lies at the first time: :math:`x + (t - t_0)\, f(x, t)`, with the network f and :math:`t_0` the first photo's time.

    It is exactly the identity at :math:`t_0`, so the canonical scene is that of the first photo, and continuous there; D-NeRF's own, f
    but 0 at :math:`t_0` alone, jumps. Source: Pumarola et al., D-NeRF, 2021, section 4.2.
    """

    first_time: Tensor

    def __init__(self, config: DisplacementConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__(config, dataset, n_outputs=3)
        self.register_buffer("first_time", torch.tensor(first_time(dataset)))

    def move(
        self, x: Float[Tensor, "*batch n 3"], outputs: Float[Tensor, "*batch n 3"], points: Points
    ) -> Float[Tensor, "*batch n 3"]:
        """See :class:`Warp`."""
        return x + (times_of(points) - self.first_time)[:, None] * outputs
