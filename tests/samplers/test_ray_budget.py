import torch

from nerf_plugins.samplers.ray_budget import RayBudget, RayBudgetConfig


def make_budget(samples_per_batch: int, max_rays: int) -> RayBudget:
    return RayBudget(RayBudgetConfig(samples_per_batch=samples_per_batch, max_rays_per_batch=max_rays))


def follow(budget: RayBudget, samples_per_ray: int, steps: int, n_rays: int = 256) -> int:
    for _ in range(steps):
        budget.observe(torch.full((n_rays,), samples_per_ray, dtype=torch.int32))
        n_rays = budget.rays(n_rays)
    return n_rays


def test_rays_times_samples_is_the_budget():
    assert abs(follow(make_budget(10_000, 100_000), 20, 50) - 500) <= 2


def test_the_number_is_even_as_pixel_samplers_of_mixed_sizes_want_it():
    assert all(follow(make_budget(10_000, 4096), samples, 1) % 2 == 0 for samples in range(7, 60))


def test_before_anything_was_observed_the_number_stays():
    assert make_budget(1000, 1000).rays(123) == 123


def test_the_number_is_bounded():
    assert follow(make_budget(10_000, 1024), 0, 50) == 1024
    assert follow(make_budget(100, 1024), 1000, 50) == 64


def test_it_recovers_from_a_batch_without_samples():
    budget = make_budget(10_000, 4096)
    follow(budget, 0, 3)
    assert abs(follow(budget, 20, 80) - 500) <= 2


def test_of_several_totals_the_largest_counts():
    budget = make_budget(10_000, 4096)
    budget.observe(*(torch.full((100,), samples, dtype=torch.int32) for samples in (20, 50, 10)))
    assert budget.rays(100) == 200
