import torch

from nerf_plugins.samplers.occupancy import VISIBLE_MARCH_ROOM, OccupancySampler, OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.spaces import BoxSpace, ContractedSpace, Rays

AABB = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def make_rays(n: int) -> Rays:
    origins = torch.tensor([[0.1, 0.2, 3.0]]).repeat(n, 1)
    directions = torch.tensor([[0.0, 0.0, -1.0]]).repeat(n, 1)
    return Rays(origins, directions, torch.zeros(n), torch.full((n,), 100.0), directions, torch.ones(n), torch.zeros(n))


def make_sampler(space: BoxSpace | None = None, **options) -> OccupancySampler:
    config = OccupancySamplerConfig(grid=OccupancyGridConfig(resolution=8), **options)
    return OccupancySampler(config, space or BoxSpace(AABB))


def test_steps_per_diagonal_sets_the_step():
    sampler = make_sampler(steps_per_diagonal=100)
    sampler.set_step(10_000)
    samples = sampler.march_for_render(make_rays(1))
    step = 12**0.5 / 100
    assert torch.allclose(samples.t_ends - samples.t_starts, torch.tensor(step), rtol=1e-4)
    assert abs(len(samples.t_starts) - 2 / step) <= 1


def test_steps_are_coarse_until_the_grid_has_formed():
    sampler = make_sampler(warmup_coarseness=4.0)
    fresh = len(sampler.march_for_render(make_rays(1)).t_starts)
    sampler.set_step(sampler.grid.config.warmup_steps)
    assert abs(len(sampler.march_for_render(make_rays(1)).t_starts) - 4 * fresh) <= 4


def test_training_is_jittered_and_pictures_are_not():
    sampler = make_sampler()
    rays = make_rays(2)
    first, second = sampler.march(rays), sampler.march(rays)
    assert first.t_starts[0] != second.t_starts[0]
    assert torch.equal(sampler.march_for_render(rays).t_starts, sampler.march_for_render(rays).t_starts)


def test_only_occupied_cells_are_sampled():
    sampler = make_sampler()
    sampler.grid.occupied.zero_()
    sampler.grid.occupied[0, :, :, 6] = True  # z in [0.5, 0.75]: t in [2.25, 2.5]
    samples = sampler.march_for_render(make_rays(1))
    mid = 0.5 * (samples.t_starts + samples.t_ends)
    assert len(mid) > 0
    assert mid.min() >= 2.25
    assert mid.max() <= 2.5


def test_an_unbounded_scene_is_marched_beyond_the_box_with_growing_steps():
    sampler = make_sampler(ContractedSpace(AABB))
    samples = sampler.march_for_render(make_rays(1))
    widths = samples.t_ends - samples.t_starts
    assert samples.t_ends.max() > 10
    assert widths[-1] > 2 * widths[0]


def test_render_threshold_can_be_raised():
    sampler = make_sampler()
    sampler.grid.densities.fill_(1.0)
    sampler.grid.densities[..., 6] = 1000.0
    everything = sampler.march_for_render(make_rays(1))
    dense = sampler.march_for_render(make_rays(1), opacity_threshold=0.5)
    assert 0 < len(dense.t_starts) < len(everything.t_starts) / 4


def test_training_ends_where_the_light_does():
    """In fog of density 10 a thousandth of the light is left after ln(1000) / 10 = 0.69 of the 2 units through the box."""
    rays = make_rays(3)
    fog = {"density_fn": lambda positions: torch.full((len(positions),), 10.0)}
    samples, n_marched = make_sampler(min_transmittance=1e-3).march_visible(rays, **fog)
    step = make_sampler().step_size * make_sampler().coarseness
    for ray in range(3):
        ends = samples.t_ends[samples.ray_indices == ray]
        assert abs(float(ends.max() - 2.0) - 0.69) < 2 * step
    assert (n_marched * VISIBLE_MARCH_ROOM - 2 / step).abs().max() <= 1
    everything, n_marched = make_sampler(min_transmittance=0.0).march_visible(rays, **fog)
    assert everything.t_ends.max() > 3.9
    assert torch.equal(n_marched, everything.packed_info[:, 1])


def test_what_is_seen_is_all_sampled():
    """Behind empty space nothing is left out; each ray keeps what the march found."""
    rays, torch_state = make_rays(2), torch.get_rng_state()
    thin = make_sampler(min_transmittance=1e-3).march_visible(
        rays, lambda positions: torch.full((len(positions),), 1e-3)
    )[0]
    torch.set_rng_state(torch_state)
    assert torch.equal(thin.t_starts, make_sampler().march(rays).t_starts)
