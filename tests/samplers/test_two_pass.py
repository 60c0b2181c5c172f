import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import RadianceField
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.rays import Points, Rays
from nerf_plugins.samplers.spacing import blurred, draw_edges, even_edges, pack_edges
from nerf_plugins.samplers.two_pass import TwoPassSampler, TwoPassSamplerConfig
from nerf_plugins.spaces import BoxSpace

AABB = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


class Wall(RadianceField):
    """Opaque below z = 0."""

    def density(self, points: Points) -> torch.Tensor:
        return torch.where(points.positions[:, 2] < 0.0, 1e3, 0.0)

    def forward(self, points: Points):
        return self.density(points), torch.ones_like(points.positions)


def make_rays(n: int = 3) -> Rays:
    origins = torch.tensor([[0.1, 0.2, 3.0]]).repeat(n, 1)
    directions = torch.tensor([[0.0, 0.0, -1.0]]).repeat(n, 1)
    return Rays(origins, directions, torch.zeros(n), torch.full((n,), 100.0), directions, torch.ones(n), torch.zeros(n))


def make_sampler(**options) -> TwoPassSampler:
    return TwoPassSamplerConfig(**options).setup(space=BoxSpace(AABB), make_field=Wall)


def test_blurred_weights_by_hand():
    weights = torch.tensor([[0.0, 0.6, 0.2, 0.0, 0.0]])
    torch.testing.assert_close(blurred(weights), torch.tensor([[0.3, 0.6, 0.4, 0.1, 0.0]]))


def test_edges_are_drawn_from_the_padded_histogram_by_hand():
    # Blurred 1/2, 1, 1/2, 0 and 1/4 more: shares of 1/4, 5/12, 1/4 and 1/12.
    samples = pack_edges(even_edges(1, 4, torch.device("cpu"), stratified=False))
    edges = draw_edges(samples, torch.tensor([0.0, 1.0, 0.0, 0.0]), 12_000, stratified=False, padding=0.25)
    counts = torch.histc(edges, bins=4, min=0.0, max=1.0) / edges.numel()
    torch.testing.assert_close(counts, torch.tensor([3.0, 5.0, 3.0, 1.0]) / 12.0, rtol=0, atol=1e-3)
    assert (edges.diff() >= 0).all()
    even = draw_edges(samples, torch.tensor([0.0, 1.0, 0.0, 0.0]), 8, stratified=False, padding=0.25, power=0.0)
    torch.testing.assert_close(even.diff(), torch.full((1, 8), 1.0 / 9.0))


def test_the_fine_pass_looks_where_the_coarse_one_saw_something():
    sampling = make_sampler(n_coarse=32, n_fine=64, padding=1e-4).sample(make_rays(1), Wall(), stratified=False)
    samples = sampling.samples
    middles = 0.5 * (samples.t_starts + samples.t_ends)
    assert len(middles) == 64  # the coarse ones are not used again
    assert ((middles > 3.0 - 2 / 32) & (middles < 3.0 + 4 / 32)).sum() >= 60  # the wall is at 3
    assert torch.equal(samples.t_starts[1:], samples.t_ends[:-1])
    assert sampling.n_looked_at.tolist() == [32]


def test_both_passes_train_the_models_field():
    field = NeRFMLPConfig(D=1, W=32, skips=()).setup()
    sampler = make_sampler(n_coarse=8, n_fine=4)
    sampling = sampler.sample(make_rays(), field, stratified=True)
    sampling.passes["coarse"].rgb.sum().backward()
    assert all(parameter.grad is not None for parameter in field.parameters())
    assert not list(sampler.parameters())
    assert sampler.pass_factor == 0.1


@pytest.mark.parametrize("option", [{"n_coarse": 1}, {"n_fine": 0}, {"padding": 0.0}, {"coarse_factor": -1.0}])
def test_bad_options_are_named(option: dict):
    with pytest.raises(InputError, match=next(iter(option))):
        TwoPassSamplerConfig(**option)
