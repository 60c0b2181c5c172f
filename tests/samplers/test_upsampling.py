import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.ops import PackedSamples, composite, sdf_optical_depths
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.upsampling import (
    SurfaceSampler,
    SurfaceSamplerConfig,
    UpSamplingSampler,
    UpSamplingSamplerConfig,
    positions_at,
)
from nerf_plugins.spaces import CubeSpace, Rays

RADIUS, INV_S = 0.5, torch.tensor(400.0)
SPACE = CubeSpace(torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))


def sphere(positions: torch.Tensor) -> torch.Tensor:
    return positions.norm(dim=-1) - RADIUS


def parallel_rays(offsets: list[float]) -> Rays:
    """Along -z from z = 2, at these distances from the axis."""
    x = torch.tensor(offsets)
    n = len(x)
    origins = torch.stack([x, torch.zeros(n), torch.full((n,), 2.0)], dim=-1)
    directions = torch.tensor([[0.0, 0.0, -1.0]]).expand(n, 3)
    ones, zeros = torch.ones(n), torch.zeros(n)
    return Rays(origins, directions, zeros, ones * 10, directions, ones, zeros)


def surface_sampler(**options) -> SurfaceSampler:
    torch.manual_seed(0)
    grid = OccupancyGridConfig(resolution=32, warmup_steps=16)
    config = SurfaceSamplerConfig(OccupancySamplerConfig(grid=grid, steps_per_diagonal=128), **options)
    sampler = SurfaceSampler(config, SPACE)

    def density(positions: torch.Tensor) -> torch.Tensor:
        return INV_S * torch.sigmoid(-INV_S * (sphere(positions).abs() - 0.06).clamp(min=0.0))

    for step in range(17):
        sampler.march.update(step, density)
    return sampler


def up_sampler() -> UpSamplingSampler:
    return UpSamplingSampler(UpSamplingSamplerConfig(), SPACE)


def render(rays: Rays, samples: PackedSamples) -> tuple[torch.Tensor, torch.Tensor]:
    t = 0.5 * (samples.t_starts + samples.t_ends)
    positions = positions_at(rays, samples.ray_indices, t)
    slopes = (torch.nn.functional.normalize(positions, dim=-1) * rays.directions[samples.ray_indices.long()]).sum(-1)
    widths = samples.t_ends - samples.t_starts
    sigmas = sdf_optical_depths(sphere(positions), slopes, widths, INV_S) / widths
    rendered = composite(sigmas, torch.zeros_like(positions), samples.t_starts, samples.t_ends, samples.packed_info)
    return rendered.accumulation, rendered.depth


@pytest.mark.parametrize("make", [surface_sampler, up_sampler])
@pytest.mark.parametrize("stratified", [False, True])
def test_a_sphere_is_opaque_and_where_it_is(make, stratified: bool):
    offsets = [0.0, 0.1, 0.3, 0.45]
    rays = parallel_rays(offsets)
    samples = make().sample(rays, sphere, INV_S, stratified=stratified)
    accumulation, depth = render(rays, samples)
    expected = 2.0 - (RADIUS**2 - torch.tensor(offsets) ** 2).sqrt()
    assert float(accumulation.min()) > 0.97
    torch.testing.assert_close(depth, expected, atol=0.012, rtol=0.0)


@pytest.mark.parametrize("make", [surface_sampler, up_sampler])
def test_sections_ascend_and_do_not_overlap(make):
    rays = parallel_rays([0.0, 0.2, 0.4, 0.9])
    samples = make().sample(rays, sphere, INV_S, stratified=True)
    assert bool((samples.t_ends > samples.t_starts).all())
    same_ray = samples.ray_indices[1:] == samples.ray_indices[:-1]
    assert bool((samples.t_starts[1:] >= samples.t_ends[:-1] - 1e-6)[same_ray].all())


def test_the_surface_sampler_spends_its_samples_at_the_surface():
    rays = parallel_rays([0.0, 0.1, 0.3])
    samples = surface_sampler().sample(rays, sphere, INV_S, stratified=False)
    distances = sphere(positions_at(rays, samples.ray_indices, 0.5 * (samples.t_starts + samples.t_ends))).abs()
    assert float((distances < 0.02).float().mean()) > 0.8
    assert samples.packed_info[:, 1].max() <= 16


def test_rays_without_an_occupied_cell_have_samples_only_where_they_explore():
    rays = parallel_rays([0.9] * 400)
    assert len(surface_sampler().sample(rays, sphere, INV_S, stratified=False).t_starts) == 0
    assert len(surface_sampler(explore=0.0).sample(rays, sphere, INV_S, stratified=True).t_starts) == 0
    explored = surface_sampler(explore=0.25).sample(rays, sphere, INV_S, stratified=True)
    share = float((explored.packed_info[:, 1] > 0).float().mean())
    assert share == pytest.approx(0.25, abs=0.08)
    # They go over the whole box: from z = 1 (t = 1) to z = -1 (t = 3).
    assert float(explored.t_starts.min()) < 1.2
    assert float(explored.t_ends.max()) > 2.8


def test_rays_past_the_box_have_no_samples():
    rays = parallel_rays([1.5, -3.0])
    for sampler in (surface_sampler(explore=1.0), up_sampler()):
        assert len(sampler.sample(rays, sphere, INV_S, stratified=True).t_starts) == 0


def test_the_papers_sampler_has_its_number_of_samples():
    samples = up_sampler().sample(parallel_rays([0.0, 0.7]), sphere, INV_S, stratified=False)
    assert samples.packed_info[:, 1].tolist() == [128, 128]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UpSamplingSamplerConfig(n_samples=1), "n_samples must be >= 2"),
        (lambda: UpSamplingSamplerConfig(n_importance=3), "n_importance must be >= up_sample_steps = 4, got 3"),
        (lambda: SurfaceSamplerConfig(n_samples=1), "n_samples must be >= 2, got 1"),
        (lambda: SurfaceSamplerConfig(explore=1.5), r"explore must be in \[0, 1\], got 1.5"),
    ],
)
def test_bad_options(make, message: str):
    with pytest.raises(InputError, match=message):
        make()
