import pytest
import torch

from nerf_plugins.fields.base import Field, RadianceField
from nerf_plugins.rays import Points, Rays
from nerf_plugins.samplers.occupancy import OccupancySampler, OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.ray_budget import RayBudgetConfig
from nerf_plugins.spaces import BoxSpace, ContractedSpace

AABB = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def no_field() -> Field:
    """These samplers have none of their own."""
    raise AssertionError


def make_rays(n: int) -> Rays:
    origins = torch.tensor([[0.1, 0.2, 3.0]]).repeat(n, 1)
    directions = torch.tensor([[0.0, 0.0, -1.0]]).repeat(n, 1)
    return Rays(origins, directions, torch.zeros(n), torch.full((n,), 100.0), directions, torch.ones(n), torch.zeros(n))


def make_sampler(space: BoxSpace | None = None, **options) -> OccupancySampler:
    config = OccupancySamplerConfig(grid=OccupancyGridConfig(resolution=8), **options)
    return config.setup(space=space or BoxSpace(AABB), make_field=no_field)


class Fog(RadianceField):
    """The same density everywhere; remembers what it was asked."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma, self.asked = sigma, []

    def density(self, points: Points) -> torch.Tensor:
        self.asked.append(points)
        return torch.full((len(points.positions),), self.sigma)

    def forward(self, points: Points) -> tuple[torch.Tensor, torch.Tensor]:
        return self.density(points), torch.ones(len(points.positions), 3)


def test_steps_per_diagonal_sets_the_step():
    sampler = make_sampler(steps_per_diagonal=100)
    sampler.set_step(10_000)
    samples = sampler.march.march_for_render(make_rays(1))
    step = 12**0.5 / 100
    assert torch.allclose(samples.t_ends - samples.t_starts, torch.tensor(step), rtol=1e-4)
    assert abs(len(samples.t_starts) - 2 / step) <= 1


def test_viewer_controls_take_every_allowed_value():
    sampler = OccupancySamplerConfig(
        grid=OccupancyGridConfig(resolution=8, opacity_threshold=0.9), steps_per_diagonal=4096
    )
    march = sampler.setup(space=BoxSpace(AABB), make_field=no_field).march
    for slider in (march.viewer_steps, march.viewer_threshold):
        assert slider.min <= slider.value <= slider.max


def test_steps_are_coarse_until_the_grid_has_formed():
    sampler = make_sampler(warmup_coarseness=4.0)
    fresh = len(sampler.march.march_for_render(make_rays(1)).t_starts)
    sampler.set_step(sampler.march.grid.config.warmup_steps)
    assert abs(len(sampler.march.march_for_render(make_rays(1)).t_starts) - 4 * fresh) <= 4


def test_training_is_jittered_and_pictures_are_not():
    sampler = make_sampler()
    rays = make_rays(2)
    first, second = sampler.march.march(rays), sampler.march.march(rays)
    assert first.t_starts[0] != second.t_starts[0]
    assert torch.equal(sampler.march.march_for_render(rays).t_starts, sampler.march.march_for_render(rays).t_starts)


def test_only_occupied_cells_are_sampled():
    sampler = make_sampler()
    sampler.march.grid.occupied.zero_()
    sampler.march.grid.occupied[0, :, :, 6] = True  # z in [0.5, 0.75]: t in [2.25, 2.5]
    samples = sampler.march.march_for_render(make_rays(1))
    mid = 0.5 * (samples.t_starts + samples.t_ends)
    assert len(mid) > 0
    assert mid.min() >= 2.25
    assert mid.max() <= 2.5


def test_an_unbounded_scene_is_marched_beyond_the_box_with_growing_steps():
    sampler = make_sampler(ContractedSpace(AABB))
    samples = sampler.march.march_for_render(make_rays(1))
    widths = samples.t_ends - samples.t_starts
    assert samples.t_ends.max() > 10
    assert widths[-1] > 2 * widths[0]


def test_render_threshold_can_be_raised():
    sampler = make_sampler()
    sampler.march.grid.densities.fill_(1.0)
    sampler.march.grid.densities[..., 6] = 1000.0
    everything = sampler.march.march_for_render(make_rays(1))
    dense = sampler.march.march_for_render(make_rays(1), opacity_threshold=0.5)
    assert 0 < len(dense.t_starts) < len(everything.t_starts) / 4


def test_training_ends_where_the_light_does():
    """In fog of density 10 a thousandth of the light is left after ln(1000) / 10 = 0.69 of the 2 units through the box."""
    rays, sampler = make_rays(3), make_sampler(min_transmittance=1e-3)
    samples, n_looked_at, passes, _ = sampler.sample(rays, Fog(10.0), stratified=True)
    step = sampler.march.step_size * sampler.march.coarseness
    for ray in range(3):
        ends = samples.t_ends[samples.ray_indices == ray]
        assert abs(float(ends.max() - 2.0) - 0.69) < 2 * step
    assert (n_looked_at - 2 / step).abs().max() <= 1
    assert not passes
    everything, n_looked_at, *_ = make_sampler(min_transmittance=0.0).sample(rays, Fog(10.0), stratified=True)
    assert everything.t_ends.max() > 3.9
    assert n_looked_at is None


def test_what_is_seen_is_all_sampled():
    """Behind empty space nothing is left out; each ray keeps what the march found."""
    rays, torch_state = make_rays(2), torch.get_rng_state()
    thin = make_sampler(min_transmittance=1e-3).sample(rays, Fog(1e-3), stratified=True).samples
    torch.set_rng_state(torch_state)
    assert torch.equal(thin.t_starts, make_sampler().march.march(rays).t_starts)


def test_the_number_of_rays_follows_the_samples():
    sampler = make_sampler(budget=RayBudgetConfig(samples_per_batch=10_000))
    for _ in range(30):
        samples = sampler.sample(make_rays(10), Fog(1.0), stratified=True).samples
        n_rays = sampler.num_rays(10)
    assert n_rays == pytest.approx(10_000 / (len(samples.t_starts) / 10), rel=0.1)
    assert make_sampler(budget=RayBudgetConfig(samples_per_batch=None)).num_rays(123) == 123


def test_the_grid_asks_a_field_for_what_it_needs():
    """Random times, the size of a cell, no photo."""
    sampler, field = make_sampler(), Fog(1.0)
    sampler.before_step(0, field)
    assert all(points.times is None and points.scales is None for points in field.asked)
    field.asked, field.needs = [], frozenset({"times", "scales", "camera_indices"})
    sampler.before_step(16, field)
    (points,) = field.asked
    assert points.times is not None
    assert 0.0 <= float(points.times.min()) < 0.1
    assert 0.9 < float(points.times.max()) <= 1.0
    assert points.camera_indices is None
    # A cell of the cube is 2/8 wide in the field's space too; even numbers in it deviate by 1 / sqrt(12) of that.
    torch.testing.assert_close(points.scales, torch.full_like(points.scales, 0.25 / 12**0.5))
