"""Pieces of pixels' cones, in the space and as fields see them."""

import math

import pytest
import torch
from nerfstudio.cameras.rays import RayBundle

from nerf_plugins.errors import InputError
from nerf_plugins.ops import cone_moments
from nerf_plugins.rays import NOTHING
from nerf_plugins.spaces import BoxSpace, ContractedSpace, CubeSpace, NDCSpace, Space
from nerf_plugins.spaces.gaussians import axes, cylinder_moments

AABB = torch.tensor([[-1.0, -2.0, -0.5], [1.0, 2.0, 1.5]])
SPACES = [BoxSpace(AABB), CubeSpace(AABB), ContractedSpace(AABB)]
POSITIONS = torch.tensor([[0.2, 0.3, -0.1], [0.9, 1.5, 0.4], [3.0, -1.0, 2.0], [-40.0, 5.0, 60.0]])


def jacobians(space: Space) -> torch.Tensor:
    return torch.stack([torch.func.jacrev(space.field_positions)(position) for position in POSITIONS.double()]).float()


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
def test_small_vectors_are_pushed_by_the_maps_jacobian(space: Space):
    expected = jacobians(space)
    pushed = space.push_forward(POSITIONS, torch.eye(3).expand(4, 3, 3))
    torch.testing.assert_close(pushed.transpose(-1, -2), expected, rtol=1e-4, atol=1e-7)
    volume = torch.linalg.det(expected.double()).abs() ** (1 / 3)
    torch.testing.assert_close(space.field_scale(POSITIONS), volume.float(), rtol=1e-3, atol=0.0)


def in_frustum(t0: float, t1: float, radius: float, apex: bool) -> torch.Tensor:
    """Even points (x, y along r, z along t) of a cone's or a cylinder's piece along z."""
    generator = torch.Generator().manual_seed(0)
    u = torch.rand(400_000, 3, generator=generator, dtype=torch.float64)
    t = (t0**3 + u[:, 0] * (t1**3 - t0**3)) ** (1 / 3) if apex else t0 + u[:, 0] * (t1 - t0)
    r = radius * (t if apex else 1.0) * u[:, 1].sqrt()
    angle = 2 * math.pi * u[:, 2]
    return torch.stack([r * angle.cos(), r * angle.sin(), t], dim=-1)


@pytest.mark.parametrize(("of", "apex"), [(cone_moments, True), (cylinder_moments, False)], ids=["cone", "cylinder"])
def test_mean_and_covariance_are_those_of_even_points(of, apex: bool):
    t0, t1, radius = 1.0, 2.5, 0.3
    sample = in_frustum(t0, t1, radius, apex)
    spread = of(*torch.tensor([[t0], [t1], [radius]]), torch.tensor([0], dtype=torch.int32))
    assert float(spread.t_means) == pytest.approx(float(sample[:, 2].mean()), rel=2e-3)
    vectors = axes(spread, torch.tensor([[0.0, 0.0, 1.0]]))[0]
    torch.testing.assert_close(vectors.T @ vectors, sample.T.cov().float(), rtol=1e-2, atol=2e-3)
    assert float(spread.scales) == pytest.approx(float(torch.linalg.det(sample.T.cov())) ** (1 / 6), rel=5e-3)


def bundle(**more) -> RayBundle:
    directions = torch.nn.functional.normalize(torch.tensor([[0.1, -0.2, -1.0]]), dim=-1)
    return RayBundle(torch.zeros(1, 3), directions, **{"pixel_area": torch.full((1, 1), 1e-4), **more})


def complete(space: Space, needs: frozenset, **more):
    return space.complete(space.rays(bundle(**more), 0.05, 10.0), bundle(**more), needs)


def test_a_pixels_radius_is_mip_nerfs():
    """A pixel of a hundredth's width: 2 / sqrt(12) of it at distance 1."""
    assert float(complete(BoxSpace(AABB), frozenset({"scales"})).radii) == pytest.approx(0.01 * 2 / math.sqrt(12))


def test_a_cylinder_in_device_coordinates_is_as_wide_as_neighbouring_rays_are_apart():
    space = NDCSpace(torch.tensor([[-1.5, -1.5, -1.0], [1.5, 1.5, 1.0]]), focal_x=1.2, focal_y=1.2, near=1.0)
    rays = complete(space, frozenset({"scales"}))
    neighbour = bundle()
    neighbour.directions = torch.nn.functional.normalize(bundle().directions + torch.tensor([[0.01, 0.0, 0.0]]), dim=-1)
    apart = (space.rays(neighbour, 0.05, 10.0).origins - rays.origins).norm()
    assert float(rays.radii) == pytest.approx(float(apart) * 2 / math.sqrt(12), rel=0.05)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
def test_the_pass_over_cones_is_the_spaces_own_map(space: Space, monkeypatch: pytest.MonkeyPatch):
    """Of pieces before the box, in it, behind it and very far away."""
    needs = frozenset({"scales"})
    rays = complete(space, needs)
    edges = torch.tensor([0.0, 0.05, 0.3, 1.0, 1.2, 4.0, 50.0, 51.0, 1000.0, 1e6])
    pieces = (torch.zeros(len(edges) - 1, dtype=torch.int32), edges[:-1], edges[1:])
    at_once = space.points(rays, *pieces, needs)
    monkeypatch.setattr(space, "cones_at_once", lambda *_: None)
    expected = space.points(rays, *pieces, needs)
    assert expected.scales is not None
    torch.testing.assert_close(at_once.positions, expected.positions, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(at_once.scales, expected.scales, rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("base", [BoxSpace, ContractedSpace])
def test_a_space_with_another_map_has_its_own_points(base: type[BoxSpace]):
    class Halved(base):
        def field_positions(self, positions: torch.Tensor) -> torch.Tensor:
            return 0.5 * super().field_positions(positions)

    needs, pieces = frozenset({"scales"}), (torch.zeros(1, dtype=torch.int32), torch.ones(1), 2 * torch.ones(1))
    theirs, own = base(AABB), Halved(AABB)
    positions = own.points(complete(own, needs), *pieces, needs).positions
    torch.testing.assert_close(positions, 0.5 * theirs.points(complete(theirs, needs), *pieces, needs).positions)


def test_rays_that_learn_take_their_gradient_through_the_points():
    space, needs = ContractedSpace(AABB), frozenset({"scales"})
    rays = complete(space, needs)
    rays = rays._replace(origins=rays.origins.clone().requires_grad_())
    points = space.points(rays, torch.zeros(1, dtype=torch.int32), torch.ones(1), 2 * torch.ones(1), needs)
    points.positions.sum().backward()
    assert rays.origins.grad is not None
    assert rays.origins.grad.abs().min() > 0


def test_what_is_not_needed_is_not_there():
    space = ContractedSpace(AABB)
    rays = complete(space, NOTHING, times=torch.ones(1, 1), camera_indices=torch.zeros(1, 1, dtype=torch.long))
    assert (rays.radii, rays.times, rays.camera_indices) == (None, None, None)
    points = space.points(rays, torch.zeros(1, dtype=torch.int32), torch.ones(1), 2 * torch.ones(1))
    assert (points.scales, points.covariances) == (None, None)


def test_times_that_are_not_there_are_named():
    with pytest.raises(InputError, match="needs the time of each view"):
        complete(BoxSpace(AABB), frozenset({"times"}))


def test_covariances_are_in_the_fields_space():
    space, needs = ContractedSpace(AABB), frozenset({"scales", "covariances"})
    rays = complete(space, needs)
    index = torch.zeros(1, dtype=torch.int32)
    points = space.points(rays, index, torch.tensor([4.0]), torch.tensor([4.2]), needs)
    spread = cone_moments(torch.tensor([4.0]), torch.tensor([4.2]), rays.radii, index)
    mean = rays.positions(index, spread.t_means)
    jacobian = torch.func.jacrev(space.field_positions)(mean[0])
    vectors = axes(spread, rays.directions)[0]
    torch.testing.assert_close(points.covariances[0], jacobian @ vectors.T @ vectors @ jacobian.T, rtol=1e-3, atol=1e-9)
    assert float(points.scales) == pytest.approx(float(torch.linalg.det(points.covariances)) ** (1 / 6), rel=1e-2)
    torch.testing.assert_close(points.positions, space.field_positions(mean))
