"""Points followed through warps of known motion."""

import torch

from nerf_plugins.fields.warps.screw import move_by_screw
from nerf_plugins.tracks.following import find, refine


def box(n: int) -> torch.Tensor:
    return torch.rand(n, 3, generator=torch.Generator().manual_seed(0)) - 0.5


def turned(x: torch.Tensor) -> torch.Tensor:
    """By 1.2 radians about an axis, and pushed along."""
    rotation, along = torch.tensor([0.3, -0.9, 0.7]), torch.tensor([0.5, 0.1, -0.2])
    return move_by_screw(x, rotation.expand_as(x), along.expand_as(x))


def bent(x: torch.Tensor) -> torch.Tensor:
    """Each height pushed sideways by another length, which has the inverse (x - sin(2 z), y, z)."""
    return torch.stack([x[:, 0] + torch.sin(2.0 * x[:, 2]), x[:, 1], x[:, 2]], dim=1)


def test_a_turn_is_undone_exactly():
    x = box(50)
    found = refine(turned, turned(x), torch.zeros_like(x))
    torch.testing.assert_close(found.positions, x, atol=1e-5, rtol=0)
    assert found.residuals.max() < 1e-5


def test_a_bent_space_is_undone_exactly():
    places = box(50)
    found = refine(bent, places, places)
    expected = places.clone()
    expected[:, 0] -= torch.sin(2.0 * places[:, 2])
    torch.testing.assert_close(found.positions, expected, atol=1e-5, rtol=0)


def test_nothing_gets_worse_than_the_start():
    """Where a warp takes everything to one place, no step leads nearer."""
    x = box(20)
    found = refine(lambda p: 0.0 * p, x, x)
    torch.testing.assert_close(found.positions, x)
    torch.testing.assert_close(found.residuals, x.norm(dim=1))


def two_places(x: torch.Tensor) -> torch.Tensor:
    """A body that has jumped from around 0 to around (10, 0, 0); all of the space where it was is mapped to one place far away."""
    return torch.where(x[:, :1] > 5.0, x - torch.tensor([10.0, 0.0, 0.0]), 0.0 * x + 100.0)


def test_what_jumps_is_found_by_where_something_is():
    body = box(400)
    there = body + torch.tensor([10.0, 0.0, 0.0])
    found = find(two_places, body[:100], there[50:])
    torch.testing.assert_close(found.positions, there[:100], atol=1e-4, rtol=0)
    lost = refine(two_places, body[:100], body[:100])
    assert lost.residuals.min() > 10.0  # from where the points were there is no way
