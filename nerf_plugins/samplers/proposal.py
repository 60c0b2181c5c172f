"""Proposal sampling: few samples, where a small field of the sampler's own has found weight."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.calls import call_size
from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import RadianceField
from nerf_plugins.fields.proposal import ProposalField, ProposalFieldConfig
from nerf_plugins.ops import Composited, PackedSamples, distortion_loss, interlevel_loss
from nerf_plugins.rays import Rays, in_pieces
from nerf_plugins.rendering import density_weights
from nerf_plugins.samplers.base import Histogram, MakeField, Sampler, SamplerConfig, Sampling
from nerf_plugins.samplers.spacing import draw_edges, even_edges, pack_edges, spread_in
from nerf_plugins.spaces import Space

# Schlick's bias of the annealing: it is mostly over in the first tenth. Mip-NeRF 360's.
_ANNEAL_SLOPE = 10.0


@dataclass
class ProposalSamplerConfig(SamplerConfig):
    """Few samples, where a small network of the sampler's own proposes."""

    _target: type = field(default_factory=lambda: ProposalSampler, kw_only=True)
    """target class to instantiate"""
    n_proposals: tuple[int, ...] = (64, 32)
    """Intervals of each round of proposals: the first are even, those of a later one are drawn from the one before."""
    n_samples: int = 24
    """Samples of a ray, drawn from the last round."""
    field: ProposalFieldConfig = field(default_factory=ProposalFieldConfig)
    """The network that proposes, the same in each round."""
    padding: float = 0.01
    """Weight that each interval of a proposal has at least when the next are drawn from it, so that nothing is never looked at."""
    anneal_steps: int = 500
    """Steps over which the weights that are drawn from go from even to what they are."""
    full_steps: int = 500
    """Steps in which the proposals always learn."""
    learn_every: int = 4
    """After these steps they learn in one of this many."""
    interlevel_factor: float = 1.0
    """Factor of the loss that teaches the proposals where the samples have weight."""
    distortion_factor: float = 0.005
    """Factor of the loss that gathers the weights of a ray in one place. 0 for none."""

    def __post_init__(self) -> None:
        if not self.n_proposals or min(self.n_proposals) < 2 or self.n_samples < 1:
            raise InputError(
                f"proposal sampler: n_proposals must be one or more numbers >= 2 and n_samples >= 1, got {self.n_proposals} "
                f"and {self.n_samples}"
            )
        if self.learn_every < 1:
            raise InputError(f"proposal sampler: learn_every must be >= 1, got {self.learn_every}")
        if not self.padding > 0:
            raise InputError(f"proposal sampler: padding must be > 0, got {self.padding}")
        for name in ("anneal_steps", "full_steps", "interlevel_factor", "distortion_factor"):
            if not getattr(self, name) >= 0:
                raise InputError(f"proposal sampler: {name} must be >= 0, got {getattr(self, name)}")

    @property
    def has_fixed_size(self) -> bool:
        """Each ray has ``n_samples``."""
        return True


class ProposalSampler(Sampler[RadianceField]):
    """Rounds of histograms on each ray, from a small field of densities: each round's intervals are drawn from the weights of the one
    before, the samples from those of the last.

    Intervals are measured in s in [0, 1], which is even in t or in disparity, as the space says. The small field learns by the
    interlevel loss only, whose gradient reaches nothing else. Source: Barron et al., Mip-NeRF 360, 2022, sections 3 and 4.
    """

    def __init__(self, config: ProposalSamplerConfig, space: Space, make_field: MakeField) -> None:
        super().__init__(config, space, make_field)
        self.config = config
        self.field: ProposalField = config.field.setup()
        self.annealing = 1.0
        """Power of the weights that are drawn from, in [0, 1]."""
        self.is_learning = True
        """Whether the proposals of this step have gradients."""

    def before_step(self, step: int, scene: RadianceField) -> None:
        """Sets how sharp proposals are and whether they learn."""
        self.set_step(step)

    def set_step(self, step: int) -> None:
        """The power of the weights is Schlick's bias :math:`10 x / (9 x + 1)` of the share x of ``anneal_steps`` that is done."""
        x = min(step / self.config.anneal_steps, 1.0) if self.config.anneal_steps else 1.0
        self.annealing = _ANNEAL_SLOPE * x / ((_ANNEAL_SLOPE - 1.0) * x + 1.0)
        self.is_learning = step < self.config.full_steps or step % self.config.learn_every == 0

    def sample(self, rays: Rays, scene: RadianceField, stratified: bool) -> Sampling:
        """``n_samples`` intervals of each ray; in training also the proposals that they came from, in s."""
        nears, fars = self.space.clip(rays)
        edges = even_edges(len(nears), self.config.n_proposals[0], nears.device, stratified)
        histograms = []
        for n_next in (*self.config.n_proposals[1:], self.config.n_samples):
            in_t = pack_edges(spread_in(self.space, edges, nears, fars))
            histograms.append(self._propose(rays, pack_edges(edges), in_t, stratified))
            edges = self.draw(histograms[-1], n_next, stratified)
        samples = pack_edges(spread_in(self.space, edges, nears, fars))
        n_looked_at = torch.full_like(samples.packed_info[:, 1], sum(self.config.n_proposals))
        if not stratified:
            return Sampling(samples, n_looked_at)
        in_s = Histogram(pack_edges(edges), torch.empty(0))
        return Sampling(samples, n_looked_at, histograms=(*histograms, in_s))

    def _propose(self, rays: Rays, in_s: PackedSamples, in_t: PackedSamples, stratified: bool) -> Histogram:
        with torch.set_grad_enabled(stratified and self.is_learning):
            points = self.space.points(rays, in_t.ray_indices, in_t.t_starts, in_t.t_ends, self.field.needs)
            size = len(points.positions) if stratified else call_size(points.positions.device)
            sigmas = in_pieces(self.field.density, points, size)
            return Histogram(in_s, density_weights(in_t, sigmas))

    def draw(self, proposal: Histogram, n: int, stratified: bool) -> Float[Tensor, "n_rays n_edges"]:
        """The ascending edges, in s, of n intervals of each ray, where the proposal has weight, to the annealed power.

        Source: Barron et al., Mip-NeRF 360, 2022, equation 19.
        """
        samples, weights = proposal
        return draw_edges(samples, weights, n, stratified, self.config.padding, self.annealing)

    def losses(self, sampling: Sampling, rendered: Composited) -> dict[str, Tensor]:
        """The interlevel loss of each round, in the steps in which they learn, and the distortion loss; means over the rays."""
        *proposals, (samples, _) = sampling.histograms
        fine = (samples.t_starts, samples.t_ends, rendered.weights, samples.packed_info)
        losses = {}
        if self.is_learning:
            of_rounds = [
                interlevel_loss(*fine, coarse.t_starts, coarse.t_ends, weights, coarse.packed_info).mean()
                for coarse, weights in proposals
            ]
            losses["interlevel_loss"] = self.config.interlevel_factor * torch.stack(of_rounds).sum()
        if self.config.distortion_factor > 0:
            spread = distortion_loss(rendered.weights, samples.t_starts, samples.t_ends, samples.packed_info)
            losses["distortion_loss"] = self.config.distortion_factor * spread.mean()
        return losses
