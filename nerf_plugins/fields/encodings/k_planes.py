"""K-Planes: a plane for each pair of coordinates, all multiplied, at several scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings.factorised import FactorisedEncoding, FactorisedEncodingConfig
from nerf_plugins.ops import PlaneGroup

_OF_SPACE, _OF_TIME = ((0, 1), (0, 2), (1, 2)), ((0, 3), (1, 3), (2, 3))


@dataclass
class KPlanesEncodingConfig(FactorisedEncodingConfig):
    """Planes of all pairs of coordinates."""

    _target: type = field(default_factory=lambda: KPlanesEncoding, kw_only=True)
    """target class to instantiate"""
    n_scales: int = 2
    """How many sets of planes, of features of their own; each has half the resolution of the one after it."""
    time_resolution: int = 24
    """Vertices along the time; of a moving scene."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_scales < 1 or self.start_resolution < 2**self.n_scales:
            raise InputError(
                f"planes: n_scales must be >= 1, and start_resolution at least 2^n_scales, got {self.n_scales} "
                f"and {self.start_resolution}"
            )
        if self.time_resolution < 2:
            raise InputError(f"planes: time_resolution must be >= 2, got {self.time_resolution}")


class KPlanesEncoding(FactorisedEncoding):
    r"""Features :math:`\prod_k P_k(\pi_k(x))` of the planes k = xy, xz, yz, and of a moving scene xt, yt, zt too, scale by scale.

    Coordinates are positions in [-1, 1]^3, and for a moving scene the time, in [-1, 1], behind them. Planes with time start at 1, so that
    the scene stands still until something is seen to move. Source: Fridovich-Keil et al., K-Planes, 2023, section 3.1.

    Args:
        config: the options.
        moving: whether there is a time.
    """

    config: KPlanesEncodingConfig

    def __init__(self, config: KPlanesEncodingConfig, moving: bool = False) -> None:
        self._n_planes = 6 if moving else 3
        super().__init__(config)

    def groups_at(self, resolution: int) -> Sequence[PlaneGroup]:
        """Scale by scale, the coarsest first: planes of space, then those with time."""
        groups = []
        for scale in reversed(range(self.config.n_scales)):
            side = -(-resolution // 2**scale)
            groups.append(PlaneGroup(_OF_SPACE, (side, side)))
            if self._n_planes == 6:
                groups.append(PlaneGroup(_OF_TIME, (side, self.config.time_resolution)))
        return groups

    @property
    def products(self) -> Sequence[Sequence[int]]:
        """One a scale, of all its planes."""
        n = self._n_planes
        return [range(scale * n, (scale + 1) * n) for scale in range(self.config.n_scales)]

    @property
    def planes_of_space(self) -> list[Float[Tensor, "3 _ _ n_features"]]:
        """Of each scale, with gradients."""
        return self.planes[:: self._n_planes // 3]

    @property
    def planes_of_time(self) -> list[Float[Tensor, "3 _ n_times n_features"]]:
        """Of each scale, with gradients; none where nothing moves."""
        return self.planes[1::2] if self._n_planes == 6 else []

    def fill(self, planes: list[Float[Tensor, "..."]]) -> None:
        """Uniform numbers in [0.1, 0.5] in space, 1 in time."""
        for i, group in enumerate(planes):
            group.fill_(1.0) if self._n_planes == 6 and i % 2 else group.uniform_(0.1, 0.5)
