"""Mip-NeRF's sampler: a coarse pass and a fine one of the same network."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import RadianceField
from nerf_plugins.ops import Composited, PackedSamples
from nerf_plugins.rays import Rays
from nerf_plugins.rendering import render_samples, render_samples_in_rounds
from nerf_plugins.samplers.base import MakeField, Sampler, SamplerConfig, Sampling
from nerf_plugins.samplers.spacing import draw_edges, even_edges, pack_edges, spread_in
from nerf_plugins.spaces import Space


@dataclass
class TwoPassSamplerConfig(SamplerConfig):
    """Mip-NeRF's coarse and fine pass of one network."""

    _target: type = field(default_factory=lambda: TwoPassSampler, kw_only=True)
    """target class to instantiate"""
    n_coarse: int = 128
    """Intervals of the coarse pass."""
    n_fine: int = 128
    """Intervals of the fine pass, in which the coarse ones are not used again."""
    padding: float = 0.01
    """Weight that each coarse interval has at least when the fine ones are drawn, so that nothing is never looked at."""
    coarse_factor: float = 0.1
    """Factor of the coarse pass's errors in the loss."""

    def __post_init__(self) -> None:
        if self.n_coarse < 2 or self.n_fine < 1:
            raise InputError(
                f"two-pass sampler: n_coarse must be >= 2 and n_fine >= 1, got {self.n_coarse} and {self.n_fine}"
            )
        if not self.padding > 0:
            raise InputError(f"two-pass sampler: padding must be > 0, got {self.padding}")
        if not self.coarse_factor >= 0:
            raise InputError(f"two-pass sampler: coarse_factor must be >= 0, got {self.coarse_factor}")


class TwoPassSampler(Sampler[RadianceField]):
    """Stratified intervals over the whole ray, rendered by the model's own field; then intervals drawn from their weights, after these
    were blurred and padded. The first pass is called "coarse".

    It suits fields that know how large an interval is. Source: Barron et al., Mip-NeRF, 2021, section 3.2.
    """

    def __init__(self, config: TwoPassSamplerConfig, space: Space, make_field: MakeField) -> None:
        super().__init__(config, space, make_field)
        self.config = config
        self.pass_factor = config.coarse_factor

    def sample(self, rays: Rays, scene: RadianceField, stratified: bool) -> Sampling:
        """The fine intervals."""
        config = self.config
        nears, fars = self.space.clip(rays)
        edges = even_edges(len(nears), config.n_coarse, nears.device, stratified)
        samples = pack_edges(spread_in(self.space, edges, nears, fars))
        coarse = self._render(rays, samples, scene, stratified)
        edges = draw_edges(pack_edges(edges), coarse.weights, config.n_fine, stratified, config.padding)
        fine = pack_edges(spread_in(self.space, edges, nears, fars))
        return Sampling(fine, torch.full_like(fine.packed_info[:, 1], config.n_coarse), {"coarse": coarse})

    def _render(self, rays: Rays, samples: PackedSamples, scene: RadianceField, stratified: bool) -> Composited:
        if stratified:
            return render_samples(scene, self.space, rays, samples).composited
        return render_samples_in_rounds(scene, self.space, rays, samples, early_stop_eps=0.0)
