"""Proposal sampling."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.fields.proposal import ProposalFieldConfig
from nerf_plugins.ops import composite
from nerf_plugins.rays import Points, Rays
from nerf_plugins.samplers.base import Histogram
from nerf_plugins.samplers.proposal import ProposalSampler, ProposalSamplerConfig
from nerf_plugins.samplers.spacing import pack_edges
from nerf_plugins.spaces import BoxSpace, ContractedSpace

AABB = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
FIELD = ProposalFieldConfig(
    encoding=HashEncodingConfig(n_levels=4, base_resolution=8, max_resolution=64, log2_table_size=12), precision="fp32"
)

NOT_ASKED = NeRFMLPConfig(D=1, W=32, skips=())
SCENE = NOT_ASKED.setup()


def make_rays(n: int = 4) -> Rays:
    origins = torch.tensor([[0.1, 0.2, 0.5]]).repeat(n, 1)
    directions = torch.tensor([[0.0, 0.0, -1.0]]).repeat(n, 1)
    ones = torch.ones(n)
    return Rays(origins, directions, 0.05 * ones, 100 * ones, directions, ones, 0 * ones, radii=1e-3 * ones)


def make_sampler(space=None, **options) -> ProposalSampler:
    torch.manual_seed(0)
    config = ProposalSamplerConfig(**{"n_proposals": (16, 8), "n_samples": 6, "field": FIELD} | options)
    return config.setup(space=space or ContractedSpace(AABB), make_field=NOT_ASKED.setup)


def wall(points: Points) -> torch.Tensor:
    """Opaque from 0.3 behind the middle of the box on."""
    return torch.where(points.positions[:, 2] < -0.15, 100.0, 0.0)


def test_samples_are_where_the_proposals_have_weight(monkeypatch: pytest.MonkeyPatch):
    sampler = make_sampler(n_proposals=(128, 64), n_samples=32, padding=1e-4)
    monkeypatch.setattr(sampler.field, "density", wall)
    samples = sampler.sample(make_rays(1), SCENE, stratified=False).samples
    middles = 0.5 * (samples.t_starts + samples.t_ends)
    assert len(middles) == 32
    assert ((middles > 0.6) & (middles < 1.0)).sum() >= 24  # the wall is at 0.8
    assert torch.equal(samples.t_starts[1:], samples.t_ends[:-1])


@pytest.mark.parametrize("space", [BoxSpace(AABB), ContractedSpace(AABB)])
def test_samples_stay_between_the_ends_of_the_rays(space):
    sampling = make_sampler(space).sample(make_rays(), SCENE, stratified=True)
    nears, fars = space.clip(make_rays())
    starts, ends = (t.view(4, 6) for t in sampling.samples[1:3])
    assert (starts >= nears[:, None] - 1e-6).all()
    assert (ends <= fars[:, None] * 1.0001).all()
    assert (starts <= ends).all()
    assert sampling.n_looked_at.tolist() == [24] * 4
    assert [len(histogram.samples.t_starts) for histogram in sampling.histograms] == [64, 32, 24]


def test_pictures_repeat_and_have_no_gradient():
    sampler = make_sampler()
    first, second = (sampler.sample(make_rays(), SCENE, stratified=False) for _ in range(2))
    assert torch.equal(first.samples.t_starts, second.samples.t_starts)
    assert first.histograms == ()


def test_a_draw_is_blurred_padded_and_annealed():
    sampler = make_sampler(padding=0.1)
    proposal = Histogram(pack_edges(torch.arange(5.0)[None] / 4), torch.tensor([0.0, 0.0, 0.0, 1.0]))
    # Blurred to 0, 0, 0.5, 1; padded to 0.1, 0.1, 0.6, 1.1 of 1.9.
    edges = sampler.draw(proposal, 1899, stratified=False)[0]
    shares = torch.histc(edges, 4, 0, 1) / 1900
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.1, 0.6, 1.1]) / 1.9, atol=2e-3, rtol=0)
    sampler.set_step(0)
    shares = torch.histc(sampler.draw(proposal, 1899, stratified=False)[0], 4, 0, 1) / 1900
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=2e-3, rtol=0)


def test_annealing_and_learning_follow_the_step():
    sampler = make_sampler(anneal_steps=100, full_steps=10, learn_every=4)
    sampler.before_step(0, SCENE)
    assert (sampler.annealing, sampler.is_learning) == (0.0, True)
    sampler.set_step(10)
    assert sampler.annealing == pytest.approx(1.0 / 1.9)
    assert not sampler.is_learning
    sampler.set_step(400)
    assert (sampler.annealing, sampler.is_learning) == (1.0, True)


def train_step(sampler: ProposalSampler, sigmas_of) -> tuple[dict, torch.Tensor]:
    sampling = sampler.sample(make_rays(), SCENE, stratified=True)
    samples = sampling.samples
    middles = 0.5 * (samples.t_starts + samples.t_ends)
    sigmas = sigmas_of(middles).requires_grad_()
    colors = torch.zeros(len(sigmas), 3)
    rendered = composite(sigmas, colors, samples.t_starts, samples.t_ends, samples.packed_info)
    return sampler.losses(sampling, rendered), sigmas


def test_losses_reach_what_they_are_for():
    sampler = make_sampler()
    losses, sigmas = train_step(sampler, lambda t: torch.where(t > 0.8, 5.0, 0.1))
    losses["interlevel_loss"].backward()
    assert sigmas.grad is None
    assert all(p.grad is not None and p.grad.isfinite().all() for p in sampler.field.parameters())
    assert sampler.param_groups()["fields"] == list(sampler.field.parameters())
    losses, sigmas = train_step(sampler, lambda t: torch.where(t > 0.8, 5.0, 0.1))
    sampler.zero_grad()
    losses["distortion_loss"].backward()
    assert sigmas.grad.abs().sum() > 0
    assert all(p.grad is None for p in sampler.field.parameters())


def test_steps_without_learning_cost_no_gradient():
    sampler = make_sampler(full_steps=0, distortion_factor=0.0)
    sampler.set_step(1)
    losses, _ = train_step(sampler, torch.ones_like)
    assert losses == {}
    proposals = sampler.sample(make_rays(), SCENE, stratified=True).histograms
    assert not any(proposal.weights.requires_grad for proposal in proposals)


def test_proposals_learn_where_the_weight_is():
    sampler = make_sampler(n_proposals=(32,), n_samples=16)
    optimizer = torch.optim.Adam(sampler.field.parameters(), lr=0.02)
    seen = []
    for _ in range(60):
        losses, _ = train_step(sampler, lambda t: torch.where(t > 0.8, 50.0, 0.0))
        optimizer.zero_grad()
        losses["interlevel_loss"].backward()
        optimizer.step()
        seen.append(float(losses["interlevel_loss"].detach()))
    assert seen[-1] < 0.1 * max(seen[:5])


def test_bad_options_are_named():
    for name, value in {
        "n_proposals": (),
        "n_samples": 0,
        "learn_every": 0,
        "padding": 0.0,
        "distortion_factor": -1.0,
    }.items():
        with pytest.raises(InputError, match=name):
            ProposalSamplerConfig(**{name: value})
    with pytest.raises(InputError, match="width"):
        ProposalFieldConfig(width=0)
