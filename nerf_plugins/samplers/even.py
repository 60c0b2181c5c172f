"""Even sampling: as many samples on each ray, spread as the space spreads them."""

from __future__ import annotations

from dataclasses import dataclass, field

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import RadianceField
from nerf_plugins.rays import Rays
from nerf_plugins.samplers.base import MakeField, Sampler, SamplerConfig, Sampling
from nerf_plugins.samplers.spacing import even_edges, pack_edges, spread_in
from nerf_plugins.spaces import Space


@dataclass
class EvenSamplerConfig(SamplerConfig):
    """Even samples"""

    _target: type = field(default_factory=lambda: EvenSampler, kw_only=True)
    """target class to instantiate"""
    n_samples: int = 32
    """Samples of a ray."""

    def __post_init__(self) -> None:
        if self.n_samples < 1:
            raise InputError(f"even sampler: n_samples must be >= 1, got {self.n_samples}")

    @property
    def has_fixed_size(self) -> bool:
        """Each ray has ``n_samples``."""
        return True


class EvenSampler(Sampler[RadianceField]):
    """Intervals of even length in t or in disparity, as the space says; all edges are jittered in training, the first and the last too."""

    def __init__(self, config: EvenSamplerConfig, space: Space, make_field: MakeField) -> None:
        super().__init__(config, space, make_field)
        self.config = config

    def sample(self, rays: Rays, scene: RadianceField, stratified: bool) -> Sampling:
        """``n_samples`` intervals of each ray."""
        nears, fars = self.space.clip(rays)
        edges = even_edges(len(nears), self.config.n_samples, nears.device, stratified, ends=True)
        return Sampling(pack_edges(spread_in(self.space, edges, nears, fars)))
