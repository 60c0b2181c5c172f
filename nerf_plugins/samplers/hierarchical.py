"""The paper's sampler: a coarse, stratified pass and a fine one where the coarse weights are."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import RadianceField
from nerf_plugins.ops import PackedSamples, sample_pdf
from nerf_plugins.rays import Rays
from nerf_plugins.rendering import render_samples, render_samples_in_rounds
from nerf_plugins.samplers.base import MakeField, Sampler, SamplerConfig, Sampling
from nerf_plugins.samplers.spacing import even_edges, pack_edges, quantiles, spread_in
from nerf_plugins.spaces import Space


@dataclass
class HierarchicalSamplerConfig(SamplerConfig):
    """The paper's coarse and fine sampling."""

    _target: type = field(default_factory=lambda: HierarchicalSampler, kw_only=True)
    """target class to instantiate"""
    n_coarse: int = 64
    """Samples of the coarse pass."""
    n_fine: int = 128
    """Samples that the fine pass adds."""

    def __post_init__(self) -> None:
        if self.n_coarse < 2 or self.n_fine < 1:
            raise InputError(
                f"hierarchical sampler: n_coarse must be >= 2 and n_fine >= 1, got {self.n_coarse} and {self.n_fine}"
            )


class HierarchicalSampler(Sampler[RadianceField]):
    """Stratified samples over the whole ray, rendered from a coarse field of its own, then inverse transform samples of their weights
    joined with them. The coarse pass is called "coarse".

    Source: Mildenhall et al., NeRF, 2020, section 5.2.
    """

    def __init__(self, config: HierarchicalSamplerConfig, space: Space, make_field: MakeField) -> None:
        super().__init__(config, space, make_field)
        self.config = config
        coarse = make_field()
        assert isinstance(coarse, RadianceField)
        self.field = coarse

    def sample(self, rays: Rays, scene: RadianceField, stratified: bool) -> Sampling:
        """The coarse intervals, cut at ``n_fine`` further places."""
        samples = self.coarse(rays, stratified)
        if stratified:
            coarse = render_samples(self.field, self.space, rays, samples).composited
        else:
            coarse = render_samples_in_rounds(self.field, self.space, rays, samples, early_stop_eps=0.0)
        n_looked_at = samples.packed_info[:, 1]
        return Sampling(self.fine(samples, coarse.weights, stratified), n_looked_at, {"coarse": coarse})

    def coarse(self, rays: Rays, stratified: bool) -> PackedSamples:
        """``n_coarse`` intervals over the part of each ray that the space clips out; inner edges jittered when ``stratified``."""
        nears, fars = self.space.clip(rays)
        edges = even_edges(len(nears), self.config.n_coarse, nears.device, stratified)
        return pack_edges(spread_in(self.space, edges, nears, fars))

    def fine(self, samples: PackedSamples, weights: Float[Tensor, "n_samples"], stratified: bool) -> PackedSamples:
        """The coarse intervals cut at ``n_fine`` further places, drawn where the coarse weights are."""
        n_rays = len(samples.packed_info)
        u = quantiles(n_rays, self.config.n_fine, weights.device, stratified)
        t = sample_pdf(samples.t_starts, samples.t_ends, weights.detach(), samples.packed_info, u)
        starts = samples.t_starts.view(n_rays, self.config.n_coarse)
        ends = samples.t_ends.view(n_rays, self.config.n_coarse)
        return pack_edges(torch.cat([starts, ends[:, -1:], t], dim=-1).sort(dim=-1).values)
