import pytest
import torch

from nerf_plugins.samplers import ray_budget
from nerf_plugins.samplers.ray_budget import RayBudget, RayBudgetConfig


def make_budget(samples_per_batch: int, max_rays: int) -> RayBudget:
    return RayBudget(RayBudgetConfig(samples_per_batch, max_rays))


def follow(budget: RayBudget, samples_per_ray: int, steps: int, n_rays: int = 256) -> int:
    for _ in range(steps):
        budget.observe(n_rays, torch.tensor(n_rays * samples_per_ray))
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
    assert follow(make_budget(100, 1024), 1000, 50) == 2


def test_it_recovers_from_a_batch_without_samples():
    budget = make_budget(10_000, 4096)
    follow(budget, 0, 3)
    assert abs(follow(budget, 20, 80) - 500) <= 2


def test_of_several_totals_the_largest_counts():
    budget = make_budget(10_000, 4096)
    budget.observe(100, *(torch.tensor(100 * samples) for samples in (20, 50, 10)))
    assert budget.rays(100) == 200


def test_a_few_rays_of_thousands_of_samples_are_no_more_than_the_budget():
    assert follow(make_budget(1 << 13, 1 << 14), 2500, 50) * 2500 <= 1 << 13


def test_a_batch_of_rays_that_miss_calls_for_little_more_than_the_budget():
    budget = make_budget(1 << 13, 1 << 14)
    n_rays = follow(budget, 2000, 20)
    budget.observe(n_rays, torch.tensor(0))
    assert budget.rays(n_rays) * 2000 <= 1.3 * (1 << 13)


@pytest.mark.parametrize("lag", range(9))
def test_rays_follow_a_device_that_is_some_steps_behind(lag: int, monkeypatch: pytest.MonkeyPatch):
    step = 0

    class Copy:
        def __init__(self) -> None:
            self.arrives = step + lag

        def query(self) -> bool:
            return step > self.arrives

    monkeypatch.setattr(ray_budget, "_arrival", lambda _: Copy())
    budget, n_rays = make_budget(1 << 18, 1 << 14), 512
    for step in range(300):
        n_rays = budget.rays(n_rays)
        # At step 150 the steps become fine: a ray has four times the samples.
        budget.observe(n_rays, torch.tensor(n_rays * (25 if step < 150 else 100)))
        if step == 149:
            assert n_rays == pytest.approx((1 << 18) / 25, rel=0.01)
    assert n_rays == pytest.approx((1 << 18) / 100, rel=0.05)
