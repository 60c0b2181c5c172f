"""The paper's sampler: a coarse, stratified pass and a fine one where the coarse weights are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.ops import PackedSamples, sample_pdf
from nerf_plugins.spaces import BoxSpace, Rays


@dataclass
class HierarchicalSamplerConfig:
    """The paper's coarse and fine sampling."""

    n_coarse: int = 64
    """Samples of the coarse pass."""
    n_fine: int = 128
    """Samples that the fine pass adds."""

    def __post_init__(self) -> None:
        if self.n_coarse < 2 or self.n_fine < 1:
            raise InputError(
                f"hierarchical sampler: n_coarse must be >= 2 and n_fine >= 1, got {self.n_coarse} and {self.n_fine}"
            )


class HierarchicalSampler(nn.Module):
    """Stratified samples over the whole ray, then inverse transform samples of their weights joined with them."""

    def __init__(self, config: HierarchicalSamplerConfig, space: BoxSpace) -> None:
        super().__init__()
        self.config = config
        self.space = space

    def coarse(self, rays: Rays, stratified: bool) -> PackedSamples:
        """``n_coarse`` intervals over the part of each ray that the space clips out; inner edges jittered when ``stratified``."""
        n = self.config.n_coarse
        nears, fars = self.space.clip(rays)
        s = torch.linspace(0.0, 1.0, n + 1, device=nears.device).expand(len(nears), -1)
        if stratified:
            jitter = (torch.rand_like(s) - 0.5) / n
            jitter[:, [0, -1]] = 0.0
            s = s + jitter
        return pack_edges(self._spread(s, nears[:, None], fars[:, None]))

    def fine(self, samples: PackedSamples, weights: Float[Tensor, "n_samples"], stratified: bool) -> PackedSamples:
        """The coarse intervals cut at ``n_fine`` further places, drawn where the coarse weights are."""
        n_rays, n = len(samples.packed_info), self.config.n_fine
        offset = torch.rand(n_rays, n, device=weights.device) if stratified else 0.5
        u = ((torch.arange(n, device=weights.device) + offset) / n).clamp(max=1 - 2**-24).expand(n_rays, n)
        t = sample_pdf(samples.t_starts, samples.t_ends, weights.detach(), samples.packed_info, u)
        starts = samples.t_starts.view(n_rays, self.config.n_coarse)
        ends = samples.t_ends.view(n_rays, self.config.n_coarse)
        return pack_edges(torch.cat([starts, ends[:, -1:], t], dim=-1).sort(dim=-1).values)

    def _spread(self, s: Tensor, nears: Tensor, fars: Tensor) -> Tensor:
        """s in [0, 1] -> t in [near, far], evenly in t or (unbounded scenes) in 1 / (1 + t)."""
        if self.space.spacing == "uniform":
            return nears + s * (fars - nears)
        near_inverse, far_inverse = 1 / (1 + nears), 1 / (1 + fars)
        return 1 / (near_inverse + s * (far_inverse - near_inverse)) - 1


def pack_edges(edges: Float[Tensor, "n_rays n_edges"]) -> PackedSamples:
    """Ascending edges of each ray -> its intervals as packed samples."""
    n_rays, n = edges.shape[0], edges.shape[1] - 1
    starts = torch.arange(n_rays, dtype=torch.int32, device=edges.device) * n
    return PackedSamples(
        ray_indices=torch.arange(n_rays, dtype=torch.int32, device=edges.device).repeat_interleave(n),
        t_starts=edges[:, :-1].reshape(-1),
        t_ends=edges[:, 1:].reshape(-1),
        packed_info=torch.stack([starts, torch.full_like(starts, n)], dim=-1),
        n_dropped_rays=starts.new_zeros(()),
    )
