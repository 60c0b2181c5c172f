"""The paper's rounds on a sphere whose distance is known."""

import pytest
import torch
from torch import Tensor

from nerf_plugins.rays import Rays

from .spheres import RADIUS, SHARP, SPACE, hitting_rays, rays_at_discs, sphere, take, upsampling_sampler


def rounds_of_the_paper(rays: Rays, n_samples: int, new: list[int], first_inv_s: float) -> Tensor:
    """NeuS's up-sampling of one ray after the other in float64, (n_rays, n)."""
    nears, fars = (value.double() for value in SPACE.clip(rays))
    all_t = []
    for o, d, near, far in zip(rays.origins.double(), rays.directions.double(), nears, fars):
        t = near + (far - near) * torch.linspace(0, 1, n_samples, dtype=torch.float64)
        for i, n_new in enumerate(new):
            sdf, s = sphere(o + t[:, None] * d), first_inv_s * 2**i
            mid, width = 0.5 * (sdf[1:] + sdf[:-1]), t.diff()
            slope = sdf.diff() / (width + 1e-5)
            slope = torch.minimum(torch.cat([slope.new_zeros(1), slope[:-1]]), slope).clamp(-1e3, 0)
            before, after = (torch.sigmoid(s * (mid + sign * 0.5 * slope * width)) for sign in (-1, 1))
            alpha = ((before - after) / before).clamp(0, 1)
            weights = alpha * torch.cat([alpha.new_ones(1), 1 - alpha]).cumprod(0)[:-1]
            cdf = torch.cat([weights.new_zeros(1), (weights + 1e-5).cumsum(0)])
            cdf = cdf / cdf[-1].clone()
            u = (torch.arange(n_new) + 0.5).double() / n_new
            k = (torch.searchsorted(cdf, u, right=True) - 1).clamp(0, len(width) - 1)
            share = (u - cdf[k]) / (cdf[k + 1] - cdf[k])
            t = torch.cat([t, t[k] + share * width[k]]).sort().values
        all_t.append(t)
    return torch.stack(all_t)


@pytest.mark.parametrize(("n_importance", "new"), [(64, [16] * 4), (10, [2, 2, 2, 4])])
def test_sections_start_where_the_papers_samples_are(n_importance: int, new: list[int]):
    rays = rays_at_discs(torch.linspace(0, 0.7, 24))
    samples = take(upsampling_sampler(n_importance=n_importance), rays, sphere, SHARP, stratified=False)
    counts = samples.packed_info[:, 1]
    full = counts == 64 + n_importance  # two samples at one place in float32 leave no section between them
    assert full.float().mean() > 0.8
    assert counts.min() >= 62 + n_importance
    t = torch.stack([part for part in samples.t_starts.split(counts.tolist()) if len(part) == 64 + n_importance])
    expected = rounds_of_the_paper(rays, 64, new, first_inv_s=64.0)[full]
    # Where next to nothing is opaque the inverse of the distribution is steep: float32 may fall to either side of a gap.
    off = (t - expected).abs() > 1e-3
    assert off.float().mean() < 0.02
    assert not off[rays_hit(rays)[full]].any()


def rays_hit(rays: Rays) -> Tensor:
    return torch.linalg.cross(rays.origins, rays.directions).norm(dim=-1) < 0.95 * RADIUS


def test_sections_meet_and_the_last_has_the_length_of_an_even_one():
    rays = hitting_rays(8)
    samples = take(upsampling_sampler(), rays, sphere, SHARP, stratified=False)
    t_starts, t_ends = samples.t_starts.view(8, -1), samples.t_ends.view(8, -1)
    assert torch.equal(t_starts[:, 1:], t_ends[:, :-1])
    nears, fars = SPACE.clip(rays)
    assert torch.allclose((t_ends - t_starts)[:, -1], (fars - nears) / 64, rtol=1e-4)


def test_stratified_moves_a_rays_even_samples_together():
    rays = hitting_rays(200)
    even = [take(upsampling_sampler(n_importance=1, up_sample_steps=1), rays, sphere, SHARP, s) for s in (True, False)]
    nears, fars = SPACE.clip(rays)
    first = [samples.t_starts[samples.packed_info[:, 0].long()] for samples in even]
    shift = (first[0] - first[1]) / ((fars - nears) / 64)
    assert shift.abs().max() <= 0.5 + 1e-3
    assert float(shift.mean()) == pytest.approx(0.0, abs=0.1)
    assert float(shift.std()) == pytest.approx(12**-0.5, rel=0.15)
