"""Moments of pieces of cones: beside sums over thin slices, the limit that cancels, and bad input."""

import pytest
import torch

from nerf_plugins.ops import ConeMoments, cone_moments, cone_points

STARTS = torch.tensor([0.0, 0.05, 1.0, 3.0, 900.0])
ENDS = torch.tensor([2.0, 0.06, 4.0, 3.5, 1000.0])
RADII = torch.tensor([0.3, 0.01])
INDICES = torch.tensor([0, 0, 1, 1, 0], dtype=torch.int32)


def by_slices(n: int = 200_000) -> ConeMoments:
    """Discs of the area t² and of the variance (radius t)² / 4 in each direction, weighted by their area, in float64."""
    share = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    t = STARTS.double()[:, None] + share * (ENDS - STARTS).double()[:, None]
    weights = t**2 / (t**2).sum(-1, keepdim=True)
    means = (weights * t).sum(-1)
    along = (weights * (t - means[:, None]) ** 2).sum(-1)
    across = (RADII.double()[INDICES.long()] ** 2 / 4) * (weights * t**2).sum(-1)
    return ConeMoments(means, along, across, (along * across**2) ** (1 / 6))


def test_moments_are_those_of_thin_slices():
    for got, expected in zip(cone_moments(STARTS, ENDS, RADII, INDICES), by_slices()):
        torch.testing.assert_close(got.double(), expected, rtol=2e-5, atol=0.0)


def test_a_thin_piece_far_away_does_not_cancel():
    """Of width w at distance 1000: a uniform one's variance, w² / 12."""
    got = cone_moments(torch.tensor([1000.0]), torch.tensor([1000.5]), RADII, INDICES[:1])
    assert got.t_variances.item() == pytest.approx(0.25 / 12, rel=1e-4)


def test_a_piece_of_no_length_has_a_size():
    got = cone_moments(torch.zeros(1), torch.zeros(1), RADII, INDICES[:1])
    assert got.scales.item() == pytest.approx(1e-5, rel=1e-4)
    assert all(torch.isfinite(values).all() for values in got)


def test_no_pieces():
    assert all(values.shape == (0,) for values in cone_moments(STARTS[:0], ENDS[:0], RADII, INDICES[:0]))
    rays = (torch.zeros(2, 3), torch.zeros(2, 3), RADII, INDICES[:0])
    assert len(cone_points(STARTS[:0], ENDS[:0], *rays, torch.ones(3), torch.zeros(3), contracted=True).scales) == 0


def test_cones_go_through_the_box_and_the_contraction():
    """By hand: a slim cone around (1, 3, 0) at t = 2, in a box that halves x and triples z: at (0.5, 4, 1), so m = 4, y / 4 times 7/8."""
    rays = (torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([0.01]), INDICES[:1])
    box = torch.tensor([0.5, 1.0, 3.0]), torch.tensor([0.0, 1.0, 1.0])
    starts, ends = torch.tensor([1.999]), torch.tensor([2.001])
    size = cone_moments(starts, ends, rays[2], rays[3]).scales * 1.5 ** (1 / 3)
    in_box = cone_points(starts, ends, *rays, *box, contracted=False)
    torch.testing.assert_close(in_box.positions, torch.tensor([[0.5, 4.0, 1.0]]), rtol=1e-5, atol=0.0)
    torch.testing.assert_close(in_box.scales, size, rtol=1e-5, atol=0.0)
    outside = cone_points(starts, ends, *rays, *box, contracted=True)
    torch.testing.assert_close(outside.positions, torch.tensor([[0.5, 4.0, 1.0]]) * 0.21875, rtol=1e-5, atol=0.0)
    torch.testing.assert_close(outside.scales, size * 0.5 * (1.75 / 16) ** (2 / 3), rtol=1e-5, atol=0.0)


@pytest.mark.usefixtures("without_type_checker")
def test_bad_input_is_named():
    with pytest.raises(TypeError, match=r"ray_indices must be torch\.int32, got torch\.int64"):
        cone_moments(STARTS, ENDS, RADII, INDICES.long())
    with pytest.raises(ValueError, match=r"t_ends must have shape \(5\)"):
        cone_moments(STARTS, ENDS[:4], RADII, INDICES)
    rays = (torch.zeros(2, 3), torch.zeros(2, 3), RADII, INDICES)
    with pytest.raises(ValueError, match=r"box_scale must have shape \(3\), got \(2,\)"):
        cone_points(STARTS, ENDS, *rays, torch.ones(2), torch.zeros(3), contracted=True)
