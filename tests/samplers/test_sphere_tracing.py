"""Tracing surfaces whose distance is known, with and without a grid of distances; and what is in that grid."""

import pytest
import torch
from torch import Tensor

from nerf_plugins.fields.sdf import Surface
from nerf_plugins.ops import trace_distance_grid
from nerf_plugins.ops.distance_grid import HIT
from nerf_plugins.samplers.distance_grid import make_distance_grid
from nerf_plugins.samplers.sphere_tracing import trace, trace_with_grid
from nerf_plugins.spaces import CubeSpace

from .spheres import RADIUS, SHARP, SPACE, first_hit, hitting_rays, rays_at_discs, sphere, surface

FLAT = CubeSpace(torch.tensor([[-4.0, -2.0, -1.0], [4.0, 2.0, 1.0]]))


def rod(positions: Tensor) -> Tensor:
    """Along y, thinner than half a cell of the grid, and not through its vertices."""
    return (positions[:, [0, 2]] - torch.tensor([0.0051, 0.0047])).norm(dim=-1) - 0.004


def bumps(positions: Tensor) -> Tensor:
    return sphere(positions) + 0.004 * torch.sin(60.0 * positions).prod(-1)


def level(positions: Tensor) -> Tensor:
    """A distance that is not one: half as steep, and steeper far away."""
    distance = sphere(positions)
    return 0.5 * distance + distance * distance.abs()


def counted(function, counts: list[int]) -> Surface:
    def counting(positions: Tensor) -> Tensor:
        counts.append(len(positions))
        return function(positions)

    return surface(counting, SHARP)


@pytest.mark.parametrize("with_grid", [False, True])
def test_a_sphere_is_met_where_it_is(with_grid: bool):
    rays, scene = hitting_rays(), surface(sphere, SHARP)
    places = (scene, SPACE, rays, *SPACE.clip(rays))
    hits = trace_with_grid(*places, make_distance_grid(scene, SPACE)) if with_grid else trace(*places)
    assert hits.hit.all()
    torch.testing.assert_close(hits.t, first_hit(rays), atol=2e-4, rtol=0.0)


@pytest.mark.parametrize("shape", [sphere, bumps, level, rod])
def test_with_a_grid_it_is_the_same(shape):
    """Also beside the surface and where it is thinner than a cell."""
    rays, scene = rays_at_discs(torch.linspace(0.0, 0.6, 4000)), surface(shape, SHARP)
    places = (scene, SPACE, rays, *SPACE.clip(rays))
    plain, fast = trace(*places), trace_with_grid(*places, make_distance_grid(scene, SPACE))
    assert 20 < int(plain.hit.sum()) < 3900
    differ = plain.hit != fast.hit
    assert float(differ.float().mean()) < 1e-3
    both = plain.hit & fast.hit
    errors = (plain.t - fast.t)[both].abs()
    assert float(errors.quantile(0.99)) < 1e-3
    assert (fast.t[~fast.hit] == 0.0).all()


def test_the_rod_is_not_in_the_grid():
    """Else the test above says nothing of thin things."""
    rays, scene = rays_at_discs(torch.linspace(0.0, 0.6, 4000)), surface(rod, SHARP)
    grid = make_distance_grid(scene, SPACE)
    found = trace_distance_grid(
        grid.distances, grid.aabb, rays.origins, rays.directions, *SPACE.clip(rays), near=grid.cell
    )
    assert int((found.ends == HIT).sum()) == 0


def test_a_ray_that_hits_plainly_asks_the_field_twice():
    counts: list[int] = []
    scene, rays = counted(sphere, counts), hitting_rays()
    grid = make_distance_grid(scene, SPACE)
    counts.clear()
    trace_with_grid(scene, SPACE, rays, *SPACE.clip(rays), grid)
    assert sum(counts) == 2 * len(rays.origins)


def test_a_ray_that_comes_near_is_traced_from_there():
    """And asks for less than it would from its start on."""
    counts: list[int] = []
    scene, rays = counted(rod, counts), rays_at_discs(torch.linspace(0.0, 0.6, 1000))
    places = (scene, SPACE, rays, *SPACE.clip(rays))
    grid = make_distance_grid(scene, SPACE)
    counts.clear()
    trace_with_grid(*places, grid)
    with_grid = sum(counts)
    counts.clear()
    trace(*places)
    assert 0 < with_grid < 0.185 * sum(counts)


def test_a_crossing_of_the_grid_alone_is_not_trusted():
    """The surface lies three cells behind where the grid has it, and is found there all the same."""
    rays, scene = hitting_rays(), surface(sphere, SHARP)
    larger = make_distance_grid(surface(lambda p: sphere(p) - 3 * 2 / 192, SHARP), SPACE)
    hits = trace_with_grid(scene, SPACE, rays, *SPACE.clip(rays), larger)
    assert hits.hit.all()
    torch.testing.assert_close(hits.t, first_hit(rays), atol=2e-4, rtol=0.0)


def test_what_is_near_is_evaluated_and_what_is_far_is_not():
    counts: list[int] = []
    grid = make_distance_grid(counted(sphere, counts), SPACE)
    n = len(grid.distances)
    assert grid.distances.shape == (193, 193, 193)
    assert grid.cell == pytest.approx(2 / 192)
    assert sum(counts) < 0.2 * n**3
    axis = torch.linspace(-1.0, 1.0, n)
    exact = sphere(torch.cartesian_prod(axis, axis, axis)).view(n, n, n)
    near = exact.abs() < 0.6 * 3**0.5 * grid.cell
    torch.testing.assert_close(grid.distances[near], exact[near], atol=1e-5, rtol=0.0)
    torch.testing.assert_close(grid.distances, exact, atol=0.03, rtol=0.0)


def test_nothing_is_overlooked_where_the_distance_is_steep():
    """A small ball between the vertices of the coarsest grid; slopes of 1.5."""
    centre = torch.tensor([1 / 24, 1 / 24, 1 / 24])
    grid = make_distance_grid(surface(lambda p: 1.5 * ((p - centre).norm(dim=-1) - 0.02), SHARP), SPACE)
    assert float(grid.distances.min()) < -0.01


def test_a_flat_box_has_cells_of_the_same_size():
    grid = make_distance_grid(surface(lambda p: p[:, 0] - 0.125, SHARP), FLAT)
    assert grid.distances.shape == (193, 97, 49)
    assert torch.equal(grid.aabb, FLAT.aabb)
    x = torch.linspace(-1.0, 1.0, 193)[:, None, None].expand(193, 97, 49)
    torch.testing.assert_close(grid.distances, x - 0.125, atol=1e-5, rtol=0.0)


def test_rays_that_start_inside_or_end_before():
    rays, scene = hitting_rays(8), surface(sphere, SHARP)
    grid = make_distance_grid(scene, SPACE)
    starts, ends = torch.full((8,), 3.0), torch.full((8,), 4.0)
    inside = trace_with_grid(scene, SPACE, rays, starts, ends, grid)
    assert inside.hit.all()
    torch.testing.assert_close(inside.t, starts, atol=1e-3, rtol=0.0)
    early = trace_with_grid(scene, SPACE, rays, torch.zeros(8), torch.full((8,), 3.0 - RADIUS - 0.001), grid)
    assert not early.hit.any()
