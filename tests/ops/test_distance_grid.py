"""Rays through a grid of distances: planes by hand, a sphere beside its formula, what is left undecided, and bad input."""

import math

import pytest
import torch
from torch import Tensor

from nerf_plugins.ops import GridHits, trace_distance_grid
from nerf_plugins.ops.distance_grid import HIT, MISSED, UNSURE

BOX = torch.tensor([[-1.0] * 3, [1.0] * 3])
OTHER_BOX = torch.tensor([[-1.0, 0.0, 2.0], [3.0, 1.0, 4.0]])
RADIUS = 0.5


def vertices(box: Tensor, n: tuple[int, int, int]) -> Tensor:
    axes = [torch.linspace(float(low), float(high), k) for low, high, k in zip(*box, n)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)


def follow(distances: Tensor, origins: list, directions: list, end: float = 9.0, box: Tensor = BOX, near: float = 0.1):
    directions_ = torch.nn.functional.normalize(torch.tensor(directions), dim=-1)
    n = len(origins)
    starts, ends = torch.zeros(n), torch.full((n,), end)
    return trace_distance_grid(distances, box, torch.tensor(origins), directions_, starts, ends, near=near)


def test_a_plane_in_a_box_of_unequal_sides_is_met_where_it_is():
    """The plane 0.6 x + 0.8 y = 1 is linear, so any grid has it exactly."""
    distances = vertices(OTHER_BOX, (9, 3, 5)) @ torch.tensor([0.6, 0.8, 0.0]) - 1.0
    origins = [[2.9, 0.9, 3.0], [1.9, 0.9, 2.1], [1.5, 0.9, 2.5]]
    hits = follow(distances, origins, [[-1.0, 0.0, 0.0], [-0.6, -0.8, 0.0], [-1.0, 0.0, 1.0]], box=OTHER_BOX)
    assert hits.ends.tolist() == [HIT] * 3
    wanted = torch.tensor([(1.74 + 0.72 - 1.0) / 0.6, 1.14 + 0.72 - 1.0, (0.9 + 0.72 - 1.0) / 0.6 * math.sqrt(2)])
    torch.testing.assert_close(hits.t, wanted, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(hits.slopes, torch.tensor([-0.6, -1.0, -0.6 / math.sqrt(2)]), atol=1e-5, rtol=0.0)


def test_x_y_and_z_are_not_taken_for_each_other():
    """1/4 + x y - z, on as many vertices as differ along each axis."""
    places = vertices(BOX, (5, 9, 17))
    distances = 0.25 + places[..., 0] * places[..., 1] - places[..., 2]
    origins = [[0.5, -0.5, -1.0], [0.5, 0.5, -1.0], [-1.0, -0.75, 0.0]]
    hits = follow(distances, origins, [[0.0, 0.0, 1.0]] * 2 + [[1.0, 0.0, 0.0]])
    torch.testing.assert_close(hits.t, torch.tensor([1.0, 1.5, 4.0 / 3.0]), atol=1e-5, rtol=0.0)


def sphere_hits(generator: torch.Generator, near: float = 0.05) -> tuple[GridHits, Tensor, Tensor]:
    """What becomes of rays that pass at all distances from the centre of a sphere; those; and where the sphere is met."""
    n = 4000
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    sideways = torch.linalg.cross(directions, torch.randn(n, 3, generator=generator))
    passes = torch.linspace(0.0, 0.9, n)
    origins = passes[:, None] * torch.nn.functional.normalize(sideways, dim=-1) - 2.0 * directions
    distances = vertices(BOX, (65, 65, 65)).norm(dim=-1) - RADIUS
    nears, fars = torch.full((n,), 1.0), torch.full((n,), 3.0)
    hits = trace_distance_grid(distances, BOX, origins, directions, nears, fars, near=near)
    return hits, passes, 2.0 - (RADIUS**2 - passes**2).clamp(min=0.0).sqrt()


def test_a_sphere(generator: torch.Generator):
    hits, passes, wanted = sphere_hits(generator)
    inside, by_far = passes < RADIUS - 0.002, passes > RADIUS + 0.055
    assert (hits.ends[inside] == HIT).all()
    assert (hits.ends[by_far] == MISSED).all()
    beside = (passes > RADIUS + 0.002) & (passes < RADIUS + 0.04)
    assert (hits.ends[beside] == UNSURE).all()
    steep = passes < 0.9 * RADIUS
    torch.testing.assert_close(hits.t[steep], wanted[steep], atol=3e-3, rtol=0.0)
    cosines = -(RADIUS**2 - passes[steep] ** 2).sqrt() / RADIUS
    torch.testing.assert_close(hits.slopes[steep], cosines, atol=0.03, rtol=0.0)


def test_near_is_where_the_ray_first_is(generator: torch.Generator):
    hits, passes, _ = sphere_hits(generator)
    known = hits.ends != MISSED
    assert hits.t_near[~known].isinf().all()
    there = ((2.0 - hits.t_near[known]) ** 2 + passes[known] ** 2).sqrt() - RADIUS
    assert float(there.max()) < 0.052
    assert float(there.min()) > -1e-3
    # No step is longer than the distance: the one before was not near, and so what is passed by is not near either.
    reached = 2.0 - ((RADIUS + 0.05) ** 2 - passes[known] ** 2).clamp(min=0.0).sqrt()
    assert float((hits.t_near[known] - reached).max()) < 0.06


def test_a_ray_that_came_near_before_it_hits_is_unsure():
    """Past a small ball and then into a plane."""
    places = vertices(BOX, (65, 65, 65))
    ball = (places - torch.tensor([-0.5, 0.15, 0.0])).norm(dim=-1) - 0.1
    plane = 0.5 - places[..., 0]
    hits = follow(torch.minimum(ball, plane), [[-1.0, 0.0, 0.0], [-1.0, -0.5, 0.0]], [[1.0, 0.0, 0.0]] * 2)
    assert hits.ends.tolist() == [UNSURE, HIT]
    assert float(hits.t_near[0]) < 0.5
    assert float(hits.t[1]) == pytest.approx(1.5, abs=1e-5)


def test_where_a_ray_begins_and_ends():
    """Inside it hits at once; a ray that ends before is unsure if it is near by then, and else misses; an empty one misses."""
    distances = vertices(BOX, (9, 9, 9))[..., 0]
    origins = torch.tensor([[-0.5, 0.0, 0.0], [0.05, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    directions = torch.tensor([[-1.0, 0.0, 0.0]]).repeat(5, 1)
    starts, ends = torch.tensor([0.25, 0.0, 0.0, 0.5, 0.0]), torch.tensor([2.0, 0.04, 0.95, 0.5, 9.0])
    hits = trace_distance_grid(distances, BOX, origins, directions, starts, ends, near=0.1)
    assert hits.ends.tolist() == [HIT, UNSURE, MISSED, MISSED, HIT]
    assert hits.t[[0, 4]].tolist() == pytest.approx([0.25, 3.0], abs=1e-5)


def test_a_ray_along_a_surface_is_unsure_after_many_steps():
    distances = torch.full((2, 2, 2), 0.01)
    hits = trace_distance_grid(
        distances,
        BOX,
        torch.zeros(1, 3),
        torch.tensor([[1.0, 0, 0]]),
        torch.zeros(1),
        torch.full((1,), 1e6),
        near=0.001,
    )
    assert hits.ends.tolist() == [UNSURE]
    assert 0.0 < float(hits.t_near) < 1e6


def test_no_rays():
    nothing = torch.zeros(0)
    no_rays = (nothing.view(0, 3), nothing.view(0, 3), nothing, nothing)
    assert trace_distance_grid(torch.ones(2, 2, 2), BOX, *no_rays, near=0.1).t.shape == (0,)


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distances": torch.ones(1, 2, 2)}, r"two vertices or more along each axis, got \(1, 2, 2\)"),
        ({"distances": torch.ones(2, 2, 2).double()}, r"distances must be torch\.float32, got torch\.float64"),
        ({"t_starts": torch.zeros(3)}, r"t_starts must have shape \(2\), got \(3,\)"),
        ({"near": 0.0}, r"near must be > 0 and finite, got 0\.0"),
        ({"aabb": BOX.to("meta")}, "aabb is on meta, but distances is on cpu"),
    ],
)
def test_bad_input_is_named(change: dict, message: str):
    good = {"distances": torch.ones(2, 2, 2), "aabb": BOX, "origins": torch.zeros(2, 3), "near": 0.1}
    good |= {"directions": torch.ones(2, 3), "t_starts": torch.zeros(2), "t_ends": torch.ones(2)}
    with pytest.raises((TypeError, ValueError), match=message):
        trace_distance_grid(**good | change)
