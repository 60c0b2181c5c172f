"""What a march sees of a surface, and its sections: by hand, beside plain torch, and bad input."""

import math

import pytest
import torch
from torch import Tensor

from nerf_plugins.ops import Exploration, surface_sections, surface_weights

# --- Weights ---------------------------------------------------------------------------------------------------------


def made_steps(generator: torch.Generator, n_rays: int = 60, padding: int = 0) -> tuple[Tensor, ...]:
    """Distances, starts, ends and packed_info of rays with 0 to 11 steps, some of them with gaps between."""
    counts = torch.randint(12, (n_rays,), generator=generator)
    n = int(counts.sum()) + padding
    gaps, widths = 0.01 + 0.2 * torch.rand(2, n, generator=generator)
    ends = (gaps + widths).cumsum(0)
    sdf = 0.3 * torch.randn(n, generator=generator)
    packed_info = torch.stack([counts.cumsum(0) - counts, counts], dim=-1).int()
    return sdf, ends - widths, ends, packed_info


def weights_by_torch(sdf: Tensor, starts: Tensor, ends: Tensor, inv_s: float) -> Tensor:
    """Of the steps of one ray: NeuS, equation 13, in float64."""
    sdf, starts, ends = sdf.double(), starts.double(), ends.double()
    middles, head_on = 0.5 * (starts + ends), torch.full((1,), -1.0, dtype=torch.float64)
    slopes = (sdf.diff() / middles.diff().clamp(min=1e-6)).clamp(-1.0, 0.0)
    slopes = torch.minimum(torch.cat([head_on, slopes]), torch.cat([slopes, head_on]))[: len(sdf)]
    before, after = (torch.sigmoid(inv_s * (sdf + sign * 0.5 * slopes * (ends - starts))) for sign in (-1, 1))
    alphas = ((before - after) / before).clamp(min=0.0)
    light = torch.cat([torch.ones(1).double(), (1 - alphas).cumprod(0)])[:-1]
    return light * alphas


@pytest.mark.parametrize("inv_s", [1.0, 20.0, 100.0])
@pytest.mark.parametrize("padding", [0, 5])
def test_weights_are_those_of_torch(generator: torch.Generator, inv_s: float, padding: int):
    sdf, starts, ends, packed_info = made_steps(generator, padding=padding)
    got = surface_weights(sdf, starts, ends, packed_info, torch.tensor(inv_s))
    expected = torch.zeros(len(sdf)).double()
    for start, count in packed_info.tolist():
        ray = slice(start, start + count)
        expected[ray] = weights_by_torch(sdf[ray], starts[ray], ends[ray], inv_s)
    torch.testing.assert_close(got.double(), expected, rtol=1e-3, atol=2e-5)


def test_weights_by_hand():
    # Of length 2 with the slope -1 and s = 1: from 1 to -1 the depth is ln Φ(1) - ln Φ(-1) = 1, for any ray's only step.
    one = surface_weights(
        torch.zeros(2),
        torch.tensor([0.0, 5.0]),
        torch.tensor([2.0, 7.0]),
        torch.tensor([[0, 1], [1, 1]]).int(),
        torch.tensor(1.0),
    )
    assert one.tolist() == pytest.approx([1 - math.exp(-1)] * 2, rel=1e-6)
    # Steps between which the distance grows: the one in the middle falls to neither side, and sees nothing.
    starts = torch.tensor([0.0, 2.0, 4.0])
    grows = surface_weights(
        torch.tensor([-2.0, 0.0, 2.0]), starts, starts + 2, torch.tensor([[0, 3]]).int(), torch.tensor(1.0)
    )
    assert grows[1] == 0
    assert grows[0] > 0.8


def test_no_sharper_than_the_limit(generator: torch.Generator):
    steps = made_steps(generator)
    limited = surface_weights(*steps, torch.tensor(1e5), max_inv_s=30.0)
    assert torch.equal(limited, surface_weights(*steps, torch.tensor(30.0)))
    assert torch.equal(
        surface_weights(*steps, torch.tensor(20.0), max_inv_s=30.0), surface_weights(*steps, torch.tensor(20.0))
    )


@pytest.mark.parametrize("inv_s", [1e-6, 1e6])
def test_extremes_stay_finite(inv_s: float):
    sdf = torch.tensor([1e3, -1e3, 0.0, 1e-30, 1e10, -1e10])
    edges = torch.tensor([0.0, 1e-30, 1e-3, 1.0, 1e3, 1e3, 1e10])  # one has no length
    weights = surface_weights(sdf, edges[:-1], edges[1:], torch.tensor([[0, 6]]).int(), torch.tensor(inv_s))
    assert weights.isfinite().all()
    assert (weights >= 0).all()
    assert weights.sum() <= 1 + 1e-6


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t_ends": torch.zeros(2)}, r"t_ends must have shape \(3\), got \(2,\)"),
        ({"sdf": torch.zeros(3).double()}, r"sdf must be torch\.float32, got torch\.float64"),
        ({"packed_info": torch.zeros(1, 2)}, r"packed_info must be torch\.int32, got torch\.float32"),
        ({"inv_s": torch.ones(1)}, r"inv_s must have shape \(\), got \(1,\)"),
        ({"max_inv_s": 0.0}, "max_inv_s must be > 0, got 0.0"),
        ({"inv_s": torch.tensor(1.0, device="meta")}, "inv_s is on meta, but sdf is on cpu"),
    ],
)
def test_bad_steps_are_named(change: dict, message: str):
    good = {"sdf": torch.zeros(3), "t_starts": torch.zeros(3), "t_ends": torch.ones(3), "inv_s": torch.tensor(1.0)}
    with pytest.raises((TypeError, ValueError), match=message):
        surface_weights(**good | {"packed_info": torch.tensor([[0, 3]]).int()} | change)


# --- Sections --------------------------------------------------------------------------------------------------------


def sections_by_torch(edges: Tensor, packed_info: Tensor, longest: float, exploration: Exploration | None):
    """Starts, ends and what is kept."""
    starts, ends = edges[:, :-1].clone(), torch.minimum(edges[:, 1:], edges[:, :-1] + longest)
    starts[:, 0], ends[:, 0] = torch.maximum(edges[:, 0], edges[:, 1] - longest), edges[:, 1]
    sampled = packed_info[:, 1:] > 0
    if exploration is not None:
        share, chances, places, nears, fars = exploration
        explores = ~sampled & (chances[:, None] < share)
        even = nears[:, None] + places * (fars - nears)[:, None]
        starts, ends = torch.where(explores, even[:, :-1], starts), torch.where(explores, even[:, 1:], ends)
        sampled = sampled | explores
    return starts, ends, sampled & (ends > starts)


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("share", [None, 0.0, 0.4, 1.0])
def test_sections_are_those_of_torch(generator: torch.Generator, n: int, share: float | None):
    n_rays = 300
    counts = torch.randint(3, (n_rays,), generator=generator)
    edges = torch.rand(n_rays, n + 1, generator=generator).cumsum(-1)
    edges[:50, -1] = edges[:50, -2]  # without length
    places = torch.linspace(0, 1, n + 1).repeat(n_rays, 1) ** 2
    chances, nears, lengths = torch.rand(3, n_rays, generator=generator)
    exploration = None if share is None else Exploration(share, chances, places, nears, nears + lengths)
    packed_info = torch.stack([counts.cumsum(0) - counts, counts], dim=-1).int()
    got = surface_sections(edges, packed_info, 0.6, exploration)
    expected = sections_by_torch(edges, packed_info, 0.6, exploration)
    torch.testing.assert_close(tuple(got), expected, rtol=1e-6, atol=1e-6)
    assert got.keep.any()
    assert not got.keep.all()


def test_no_rays_no_sections():
    assert surface_sections(torch.zeros(0, 4), torch.zeros(0, 2).int(), 1.0).keep.shape == (0, 3)


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edges": torch.zeros(2, 1)}, "edges must be at least two of each ray, got 1"),
        ({"packed_info": torch.zeros(3, 2).int()}, r"packed_info must have shape \(2, 2\), got \(3, 2\)"),
        ({"longest": 0.0}, "longest must be > 0, got 0.0"),
        ({"edges": torch.zeros(2, 3, device="meta")}, "packed_info is on cpu, but edges is on meta"),
    ],
)
def test_bad_sections_are_named(change: dict, message: str):
    good = {"edges": torch.zeros(2, 3), "packed_info": torch.zeros(2, 2).int(), "longest": 1.0}
    with pytest.raises((TypeError, ValueError), match=message):
        surface_sections(**good | change)


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": -0.1}, "share must be >= 0"),
        ({"places": torch.zeros(2, 2)}, r"places must have shape \(2, 3\), got \(2, 2\)"),
        ({"nears": torch.zeros(3)}, r"nears must have shape \(2\), got \(3,\)"),
    ],
)
def test_a_bad_exploration_is_named(change: dict, message: str):
    good = Exploration(0.5, torch.zeros(2), torch.zeros(2, 3), torch.zeros(2), torch.ones(2))
    with pytest.raises((TypeError, ValueError), match=message):
        surface_sections(torch.zeros(2, 3), torch.zeros(2, 2).int(), 1.0, good._replace(**change))
