"""The sampler of surfaces on a sphere whose distance is known, and what it shares with the paper's."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.rays import Rays
from nerf_plugins.samplers.sections import sdf_along
from nerf_plugins.samplers.surface import SurfaceSampler, SurfaceSamplerConfig
from nerf_plugins.samplers.upsampling import UpSamplingSampler, UpSamplingSamplerConfig

from .spheres import (
    RADIUS,
    SAMPLERS,
    SHARP,
    SPACE,
    STRATIFIED,
    first_hit,
    hitting_rays,
    rays_at_discs,
    render,
    sphere,
    surface,
    surface_sampler,
    take,
    upsampling_sampler,
)


@SAMPLERS
@STRATIFIED
def test_most_sections_are_in_the_shell_of_the_surface(make, stratified: bool):
    rays, sampler = hitting_rays(), make()
    samples = take(sampler, rays, sphere, SHARP, stratified)
    positions = rays.positions(samples.ray_indices, 0.5 * (samples.t_starts + samples.t_ends))
    near = sphere(positions).abs() < 0.04
    # Half of the up-sampler's sections are the even ones.
    assert near.float().mean() > (0.85 if isinstance(sampler, SurfaceSampler) else 0.45)
    assert torch.bincount(samples.ray_indices[near], minlength=256).min() >= 8


@SAMPLERS
@STRATIFIED
def test_sections_ascend_and_do_not_overlap(make, stratified: bool):
    rays = rays_at_discs(torch.linspace(0, 1.3, 200))
    samples = take(make(), rays, sphere, SHARP, stratified)
    assert (samples.t_ends > samples.t_starts).all()
    same_ray = samples.ray_indices[1:] == samples.ray_indices[:-1]
    assert (samples.ray_indices.diff() >= 0).all()
    assert (samples.t_starts[1:] >= samples.t_ends[:-1])[same_ray].all()
    assert torch.equal(samples.packed_info[:, 1].long(), torch.bincount(samples.ray_indices, minlength=200))


@SAMPLERS
@STRATIFIED
def test_rays_that_miss_the_box_have_no_samples(make, stratified: bool):
    rays = rays_at_discs(torch.tensor([0.1, 4.0, 0.2]))
    samples = take(make(), rays, sphere, SHARP, stratified)
    assert (samples.packed_info[:, 1] > 0).tolist() == [True, False, True]


@SAMPLERS
@STRATIFIED
def test_a_crop_without_length_and_no_rays(make, stratified: bool):
    rays = hitting_rays(8)
    nowhere = torch.full((8,), 1e10)  # what the viewer's crop gives a ray that misses
    samples = take(make(), rays._replace(nears=nowhere, fars=nowhere), sphere, SHARP, stratified)
    assert len(samples.t_starts) == 0
    none = Rays(*(value[:0] for value in rays[:7]))
    assert take(make(), none, sphere, SHARP, stratified).packed_info.shape == (0, 2)


@SAMPLERS
@STRATIFIED
def test_samples_lie_between_near_and_far(make, stratified: bool):
    """The up-sampler shifts its even samples by up to half their spacing, and its last section ends a spacing later."""
    sampler, rays = make(), hitting_rays(64)._replace(nears=torch.full((64,), 2.4), fars=torch.full((64,), 2.7))
    samples = take(sampler, rays, sphere, SHARP, stratified)
    slack = 1.5 * 0.3 / 64 if isinstance(sampler, UpSamplingSampler) else 1.5 * sampler.march.step_size
    assert samples.t_starts.min() >= 2.4 - slack
    assert samples.t_ends.max() <= 2.7 + slack + (2 * 12**0.5 / 128 if isinstance(sampler, SurfaceSampler) else 0)


@SAMPLERS
@pytest.mark.parametrize("inv_s", [64.0, 300.0, 1000.0, 3000.0])
def test_depth_is_the_known_intersection(make, inv_s: float):
    rays = hitting_rays()
    rendered = render(rays, take(make(), rays, sphere, torch.tensor(inv_s), stratified=False), torch.tensor(inv_s))
    seen = rendered.accumulation > 0.5
    assert seen.float().mean() > 0.9
    assert (rendered.depth - first_hit(rays))[seen].abs().max() < 0.25 / inv_s**0.5
    assert (rendered.depth - first_hit(rays)).abs().median() < 0.3 / min(inv_s, 1500.0)  # the sections resolve no more


@SAMPLERS
@STRATIFIED
@pytest.mark.parametrize("inv_s", [300.0, 1000.0, 3000.0])
def test_a_sphere_is_opaque(make, stratified: bool, inv_s: float):
    """A surface this sharp lets nothing through, whatever share of it is behind the last sample."""
    rays = hitting_rays()
    samples = take(make(), rays, sphere, torch.tensor(inv_s), stratified)
    accumulation = render(rays, samples, torch.tensor(inv_s)).accumulation
    assert accumulation.mean() > 0.998
    assert accumulation.min() > 0.95


def test_rays_are_the_same_twice_unless_stratified():
    rays = hitting_rays(16)
    for sampler in (surface_sampler(), upsampling_sampler()):
        same = [take(sampler, rays, sphere, SHARP, stratified=False).t_starts for _ in range(2)]
        assert torch.equal(*same)
        torch.manual_seed(0)
        first, second = (take(sampler, rays, sphere, SHARP, stratified=True).t_starts for _ in range(2))
        assert first.shape != second.shape or not torch.equal(first, second)
        torch.manual_seed(0)
        assert torch.equal(take(sampler, rays, sphere, SHARP, stratified=True).t_starts, first)


@STRATIFIED
def test_the_grid_keeps_the_shell_and_loses_no_ray_that_hits(stratified: bool):
    sampler = surface_sampler(explore=0.0)
    assert 0.02 < float(sampler.march.grid.fraction_occupied) < 0.2
    assert not sampler.march.grid.occupied[0, 16, 16, 16]
    hits = take(sampler, rays_at_discs(torch.linspace(0, 0.49, 500)), sphere, SHARP, stratified)
    assert hits.packed_info[:, 1].min() >= 2
    misses = take(sampler, rays_at_discs(torch.linspace(0.75, 0.9, 100)), sphere, SHARP, stratified)
    assert len(misses.t_starts) == 0


@pytest.mark.parametrize("explore", [0.0, 0.3, 1.0])
def test_some_rays_without_an_occupied_cell_are_explored_in_training(explore: float):
    sampler, rays = surface_sampler(explore=explore), rays_at_discs(torch.full((2000,), 0.8))
    torch.manual_seed(0)
    samples = take(sampler, rays, sphere, SHARP, stratified=True)
    counts = samples.packed_info[:, 1]
    assert float((counts > 0).float().mean()) == pytest.approx(explore, abs=0.04)
    if explore == 1.0:
        assert counts.min() == sampler.config.n_samples
        nears, fars = SPACE.clip(rays)
        first = samples.t_starts[samples.packed_info[:, 0].long()]
        last = samples.t_ends[samples.packed_info.sum(-1).long() - 1]
        assert (first - nears).min() >= 0
        assert (last - fars).max() <= 0
        assert ((last - first) / (fars - nears)).min() > 0.8
    assert len(take(sampler, rays, sphere, SHARP, stratified=False).t_starts) == 0


def test_exploring_leaves_rays_that_meet_the_surface_alone():
    rays = rays_at_discs(torch.full((64,), 0.2))
    samples = take(surface_sampler(explore=1.0), rays, sphere, SHARP, stratified=True)
    positions = rays.positions(samples.ray_indices, samples.t_starts)
    assert sphere(positions).abs().max() < 0.5 * RADIUS


def test_a_section_is_no_longer_than_two_steps():
    """Also where the samples of a ray lie on both sides of the sphere, in steps far apart."""
    sampler, rays = surface_sampler(), hitting_rays()
    samples = take(sampler, rays, lambda p: sphere(p) + 10.0, SHARP, stratified=False)  # sees no surface
    assert (samples.t_ends - samples.t_starts).max() <= 2 * sampler.march.step_size * (1 + 1e-4)
    assert samples.t_ends.max() - samples.t_starts.min() > 1.0


def test_before_the_grid_has_formed_the_whole_box_is_marched():
    sampler, rays = surface_sampler(updated=False), rays_at_discs(torch.linspace(0, 0.9, 100))
    samples = take(sampler, rays, sphere, SHARP, stratified=False)
    assert samples.packed_info[:, 1].min() >= 2
    depth = render(hitting_rays(), take(sampler, hitting_rays(), sphere, SHARP, False), SHARP).depth
    assert (depth - first_hit(hitting_rays())).abs().median() < 0.01


def test_samples_are_spread_as_if_no_sharper_than_the_limit():
    sampler, rays = surface_sampler(max_inv_s=100.0), hitting_rays(16)
    at = lambda inv_s: take(sampler, rays, sphere, torch.tensor(inv_s), stratified=False).t_starts  # noqa: E731
    assert torch.equal(at(100.0), at(1e6))
    assert not torch.equal(at(50.0), at(100.0))


def test_a_surface_sharper_than_the_march_resolves_is_sampled_beyond_its_step():
    """All samples in one step would hide from the training what is wrong beside it."""
    sampler, rays = surface_sampler(), hitting_rays(16)
    at = lambda inv_s: take(sampler, rays, sphere, torch.tensor(inv_s), stratified=False)  # noqa: E731
    step = sampler.march.step_size
    sharp = at(1e6)
    assert torch.equal(sharp.t_starts, at(4.0 / step).t_starts)
    spans = [sharp.t_ends[i : i + n].max() - sharp.t_starts[i : i + n].min() for i, n in sharp.packed_info.tolist()]
    assert min(spans) > 1.5 * step


def test_a_step_alone_on_its_ray_is_sampled():
    sampler = surface_sampler()
    sampler.march.grid.occupied.zero_()
    sampler.march.grid.occupied[0, 16, 16, 24] = True  # z in [0.5, 0.5625]: x, y in [0, 0.0625]
    rays = rays_at_discs(torch.zeros(1))
    rays = rays._replace(origins=torch.tensor([[0.03, 0.03, 3.0]]), nears=torch.tensor([2.46]))
    assert len(sampler.march.march_for_render(rays).t_starts) == 1
    samples = take(sampler, rays, sphere, SHARP, stratified=False)
    assert len(samples.t_starts) >= 15


def test_rays_that_the_march_drops_are_counted(monkeypatch: pytest.MonkeyPatch):
    """On CUDA the march's buffer has a fixed size; here it gets one."""
    sampler, rays = surface_sampler(explore=0.0), hitting_rays()
    march = sampler.march
    all_steps = march.march(rays)
    room = int(all_steps.packed_info[:100, 1].sum())
    monkeypatch.setattr(
        march,
        "march",
        lambda rays, **_: march._march(rays, march.step_size, torch.zeros_like(rays.nears), capacity=room),
    )
    samples = take(sampler, rays, sphere, SHARP, stratified=True)
    n_without = int((samples.packed_info[:, 1] == 0).sum())
    assert n_without > 100
    assert samples.n_dropped_rays.item() == n_without


def test_the_steps_of_the_march_are_counted():
    """Straight through a ball of radius 0.5 in occupied cells of 1/16: the march takes its steps there only."""
    sampler, rays = surface_sampler(), rays_at_discs(torch.zeros(3))
    sampling = sampler.sample(rays, surface(sphere, SHARP), stratified=True)
    steps = sampler.march.march_for_render(rays).packed_info[:, 1]
    assert steps.min() > 2
    assert (sampling.n_looked_at - steps).abs().max() <= 2  # jitter


def test_sdf_along_rays():
    rays, t = hitting_rays(5), torch.rand(5, 7) + 2
    expected = torch.stack([sphere(o + t[:, None] * d) for o, d, t in zip(rays.origins, rays.directions, t)])
    assert torch.allclose(sdf_along(SPACE, rays, t, surface(sphere, SHARP)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "options", "name"),
    [
        (UpSamplingSamplerConfig, {"n_samples": 1}, "n_samples"),
        (UpSamplingSamplerConfig, {"up_sample_steps": 0}, "up_sample_steps"),
        (UpSamplingSamplerConfig, {"n_importance": 3}, "n_importance"),
        (UpSamplingSamplerConfig, {"first_inv_s": 0.0}, "first_inv_s"),
        (SurfaceSamplerConfig, {"n_samples": 1}, "n_samples"),
        (SurfaceSamplerConfig, {"max_inv_s": 0.0}, "max_inv_s"),
        (SurfaceSamplerConfig, {"explore": 1.1}, "explore"),
        (SurfaceSamplerConfig, {"explore": -0.1}, "explore"),
    ],
)
def test_bad_options_are_named(config, options: dict, name: str):
    with pytest.raises(InputError, match=name):
        config(**options)
