import pytest
import torch
import torch.nn.functional as F

from nerf_plugins.export.projection import project, surface_normals
from tests.export.surfaces import sphere, surface


def around(n: int = 200) -> torch.Tensor:
    return F.normalize(torch.randn(n, 3, generator=torch.Generator().manual_seed(0)), dim=1)


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_points_on_both_sides_are_taken_to_the_surface(power):
    """Of a distance, and of a function that is none: r^3 - 0.7^3, to the accuracy of three steps."""
    n = around()
    r = torch.linspace(0.66, 0.74, len(n))
    found = project(surface(lambda p: p.norm(dim=1) ** power - 0.7**power), r[:, None] * n, n, reach=0.05)
    assert found.found.all()
    torch.testing.assert_close(r + found.offsets, torch.full_like(r, 0.7), atol=1e-5, rtol=0.0)


def test_what_is_out_of_reach_stays_where_it_is():
    n = around()
    found = project(sphere(0.7), 0.8 * n, n, reach=0.05)
    assert not found.found.any()
    assert (found.offsets == 0.0).all()


def test_a_steep_function_is_followed_all_the_same():
    """A density that jumps within a thousandth: one end would stay forever."""
    n = around()
    steep = surface(lambda p: torch.where(p.norm(dim=1) < 0.7, -100.0, 1.0) + (p.norm(dim=1) - 0.7))
    found = project(steep, 0.71 * n, n, reach=0.05, steps=12)
    assert found.found.all()
    assert (0.71 + found.offsets - 0.7).abs().max() < 1e-3


def test_normals_are_the_gradients_direction():
    n = around()
    torch.testing.assert_close(surface_normals(sphere(0.7), 0.7 * n, 0.01), n, atol=0.01 / 0.7, rtol=0.0)
    plane = surface(lambda p: p @ torch.tensor([0.6, 0.0, 0.8]) * 5.0)
    torch.testing.assert_close(surface_normals(plane, n, 0.1), torch.tensor([0.6, 0.0, 0.8]).expand_as(n))
