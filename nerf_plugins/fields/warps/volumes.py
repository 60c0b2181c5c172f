"""The fast warp: a displacement read from coarse volumes over space and time, with a small network behind them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import NO_DATASET, Dataset
from nerf_plugins.fields.encodings import HashEncodingConfig, WindowedEncoding, WindowedEncodingConfig
from nerf_plugins.fields.layers import SkipLayers, first_rows, linear, pad_columns, pad_rows
from nerf_plugins.fields.precision import resolve_precision
from nerf_plugins.fields.warps.base import Warp, WarpConfig, start_small, times_of
from nerf_plugins.rays import Points

_TIMES = 0.85
"""Share of a volume's side that the times fill. At the very side, half a cell past its last vertex, a dense level goes on with its first
one, as instant-ngp's does; the last time would be tied to the first."""


@dataclass
class VolumesConfig(WarpConfig):
    """A displacement from volumes over space and time."""

    _target: type = field(default_factory=lambda: Volumes, kw_only=True)
    """target class to instantiate"""
    D: int = 2
    """Number of layers."""
    W: int = 64
    """Width of the layers."""
    skips: tuple[int, ...] = ()
    """After these layers (counted from 0) the inputs are concatenated again."""
    position: WindowedEncodingConfig = field(default_factory=lambda: WindowedEncodingConfig(n_frequencies=2))
    """The encoding of the position beside the volumes."""
    time: WindowedEncodingConfig = field(default_factory=lambda: WindowedEncodingConfig(n_frequencies=4))
    """The encoding of the time beside the volumes."""
    volume: HashEncodingConfig = field(
        default_factory=lambda: HashEncodingConfig(
            n_levels=5,
            base_resolution=8,
            max_resolution=64,
            log2_table_size=18,
            start_levels=2,
            interpolation="smoothstep",
        )
    )
    """Each of the four volumes. Its resolution is that of the time; coarse in space is what makes neighbours move alike."""
    coarseness: float = 1.5
    """Cells are this many times wider in space than in time, as shares of the scene box and of all times."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.coarseness < 1:
            raise InputError(f"warp: coarseness must be >= 1, got {self.coarseness:g}")


class Volumes(Warp):
    r"""Each point displaced by :math:`f(V_0(s x), V_1(s x_1, s x_2, t), V_2(s x_1, s x_3, t), V_3(s x_2, s x_3, t), x, t)`.

    The V are multiresolution grids of three coordinates, s the inverse of ``coarseness``, f a small network, which also sees the encoded
    position and time. It starts as the identity; the canonical scene is no time's in particular. A gradient of one time changes the volumes
    near that time alone, while all weights of a network over (x, t) are shared by all times: so it follows fast motion at a fraction of the
    cost. Source: the space-time planes of Fridovich-Keil et al., K-Planes, 2023, and Cao and Johnson, HexPlane, 2023, each made a volume.
    """

    def __init__(self, config: VolumesConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__()
        self.config = config
        self.volumes = nn.ModuleList(config.volume.setup() for _ in range(4))
        self.position = WindowedEncoding(config.position, 3)
        self.time = WindowedEncoding(config.time, 1)
        width = sum(encoding.width for encoding in (*self.volumes, self.position, self.time))  # type: ignore[arg-type]
        self.layers = SkipLayers(width, config.W, config.D, config.skips)
        self.head = start_small(nn.Linear(config.W, 3))

    def forward(self, points: Points) -> Float[Tensor, "n 3"]:
        """See :class:`Warp`."""
        n, dtype = len(points.positions), resolve_precision(self.config.precision, points.positions.device)
        positions, times = pad_rows(points.positions), pad_rows(2.0 * times_of(points)[:, None] - 1.0)
        features = [volume(x, dtype) for volume, x in zip(self.volumes, self._coordinates(positions, times))]
        inputs = torch.cat([*features, self.position(positions, dtype), self.time(times, dtype)], dim=-1)
        (displacements,) = linear(self.layers(pad_columns(inputs)), self.head)
        return points.positions + first_rows(displacements.float(), n)

    def _coordinates(self, positions: Tensor, times: Tensor) -> list[Tensor]:
        """What each volume is read at, (n, 3) in [-1, 1]."""
        scaled = positions / self.config.coarseness
        (x, y, z), t = scaled.split(1, dim=-1), _TIMES * times
        return [scaled, *(torch.cat([a, b, t], dim=-1) for a, b in ((x, y), (x, z), (y, z)))]
