"""Grids of voxels as fields: Plenoxels and DVGO by hand, growing and forgetting, and what they refuse."""

import math
import random

import pytest
import torch
import torch.nn.functional as F
from nerfstudio.utils.math import components_from_spherical_harmonics

from nerf_plugins.engine.optimizers import MaskedAdam
from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import RadianceField
from nerf_plugins.fields.dvgo import DVGO, DVGOConfig
from nerf_plugins.fields.growing import grow, take_shapes
from nerf_plugins.fields.plenoxels import Plenoxels, PlenoxelsConfig
from nerf_plugins.fields.voxels import VoxelGrid, VoxelGridConfig, number_rows, vertex_positions
from nerf_plugins.rays import Points

SMALL = VoxelGridConfig(resolutions=(6, 11), last_growth=0.5, min_density=1.0)


def points(n: int = 64) -> Points:
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(n, 3, generator=generator) * 2 - 1
    return Points(positions, directions=F.normalize(torch.randn(n, 3, generator=generator), dim=-1))


def plenoxels(**options) -> Plenoxels:
    return Plenoxels(PlenoxelsConfig(voxels=SMALL, **options))


def dvgo(**options) -> DVGO:
    return DVGO(DVGOConfig(voxels=SMALL, precision="fp32", **options))


BOTH = pytest.mark.parametrize("make", [plenoxels, dvgo])


def fill_ball(voxels: VoxelGrid, inside: float, outside: float) -> None:
    """Numbers of the densities: in a ball of radius 0.5, and out of it."""
    with torch.no_grad():
        is_inside = vertex_positions(voxels.kept).norm(dim=-1, keepdim=True) < 0.5
        voxels.density.copy_(torch.where(is_inside, inside, outside))
        voxels.color.normal_()


# The grid


def test_rows_are_numbered_in_the_order_of_the_vertices():
    kept = torch.zeros(2, 3, 4, dtype=torch.bool)
    kept[0, 1, 2] = kept[1, 0, 3] = True
    links, vertices = number_rows(kept, 2)
    assert links[0, 1, 2] == 0
    assert links[1, 0, 3] == 1
    assert int((links == -1).sum()) == 22
    assert vertices.tolist() == [6, 15]
    expected = torch.tensor([[1 / 3, 0.0, -1.0], [1.0, -1.0, 1.0]])
    torch.testing.assert_close(vertex_positions(kept), expected)


def test_resolutions_are_due_in_even_stages():
    config = VoxelGridConfig(resolutions=(4, 8, 16, 32), last_growth=0.6)
    due = [config.resolution_at(progress) for progress in (0.0, 0.19, 0.2, 0.4, 0.59, 0.6, 1.0)]
    assert due == [4, 4, 8, 16, 16, 32, 32]
    assert VoxelGridConfig(resolutions=(4,)).resolution_at(0.7) == 4


def test_a_finer_grid_shows_the_same_around_what_is_dense_and_forgets_the_rest():
    field = plenoxels()
    voxels, optimizer = field.voxels, MaskedAdam(field.parameters(), lr=0.0)
    fill_ball(voxels, 1.0, 0.0)
    for parameter in field.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    x = points(500).positions
    before, colors = voxels.densities(x).detach(), voxels.colors(x).detach()
    assert grow(field, 0.49, [optimizer]) == []
    lines = grow(field, 0.5, [optimizer])
    n = int(voxels.kept.sum())
    assert lines == [f"density: (216, 1) -> ({n}, 1)", f"color: (216, 27) -> ({n}, 27)"]
    assert 0 < n < 11**3
    # 11 vertices have those of 6 among them: what was linear in a cell stays.
    near = before > 0.5 * before.max()
    assert int(near.sum()) > 20
    torch.testing.assert_close(voxels.densities(x)[near], before[near])
    torch.testing.assert_close(voxels.colors(x)[near], colors[near])
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    assert not voxels.colors(corners).any()
    moments = optimizer.state[voxels.density]["exp_avg"]
    assert moments.shape == (n, 1)
    torch.testing.assert_close(moments, torch.full((n, 1), 0.1))
    assert grow(field, 1.0, [optimizer]) == []


@BOTH
def test_where_nothing_is_dense_all_is_kept(make):
    field = make()
    grow(field, 1.0, [])
    assert field.voxels.kept.all()
    assert len(field.voxels.density) == 11**3


@BOTH
def test_a_grown_grid_is_loaded_and_sees_the_same(make):
    field, fresh = make(), make()
    fill_ball(field.voxels, 30.0, -30.0)
    grow(field, 1.0, [])
    assert not field.voxels.kept.all()
    fresh(points())  # has numbered its own rows
    state = field.state_dict()
    take_shapes(fresh, state)
    fresh.load_state_dict(state)
    for mine, theirs in zip(fresh(points()), field(points())):
        assert torch.equal(mine, theirs)


def test_the_variation_is_that_of_a_share_of_the_rows():
    torch.manual_seed(0)
    random.seed(0)
    config = VoxelGridConfig(resolutions=(6,), density_tv=2.0, color_tv=3.0, tv_share=0.25, tv_interval=1)
    voxels = VoxelGrid(config, 2, 0.0, F.relu)
    torch.nn.init.normal_(voxels.color)
    losses = voxels.losses()
    assert losses.keys() == {"density_tv", "color_tv"}
    assert losses["density_tv"].item() == pytest.approx(2 * 1e-9**0.5, rel=1e-3)  # all the same
    sum(losses.values()).backward()
    seen = voxels.color.grad.any(dim=1)
    assert int(seen.sum()) == 216 // 4
    means = torch.stack([voxels.losses()["color_tv"].detach() for _ in range(30)])
    assert len(means.unique()) == 4  # the blocks
    assert VoxelGrid(VoxelGridConfig(resolutions=(6,)), 2, 0.0, F.relu).losses() == {}


def test_the_variation_of_few_steps_weighs_as_much():
    random.seed(0)
    options = {"resolutions": (6,), "color_tv": 1.0, "tv_share": 1.0}
    often, seldom = (VoxelGrid(VoxelGridConfig(**options, tv_interval=n), 2, 0.0, F.relu) for n in (1, 4))
    found = [seldom.losses() for _ in range(200)]
    values = [losses["color_tv"].item() for losses in found if losses]
    assert len(values) == pytest.approx(50, abs=15)
    assert set(values) == {4 * often.losses()["color_tv"].item()}


# The fields


def test_plenoxels_by_hand():
    """All vertices are alike, so the place does not matter."""
    field = plenoxels(density_scale=20.0)
    coefficients = torch.randn(27, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        field.voxels.density.fill_(0.3)
        field.voxels.color.copy_(coefficients)
    sigmas, rgbs = field(points())
    torch.testing.assert_close(sigmas, torch.full((64,), 6.0))
    harmonics = components_from_spherical_harmonics(3, points().directions)
    torch.testing.assert_close(rgbs, torch.sigmoid(harmonics @ coefficients.view(3, 9).T))
    with torch.no_grad():
        field.voxels.density.neg_()
    assert not field.density(points()).any()


def test_what_plenoxels_starts_with():
    sigmas, rgbs = plenoxels(initial_density=0.2)(points())
    torch.testing.assert_close(sigmas, torch.full((64,), 0.2))
    torch.testing.assert_close(rgbs, torch.full((64, 3), 0.5))


def test_dvgos_opacity_at_the_start_is_the_configured_one():
    field = dvgo(initial_alpha=0.01, density_scale=40.0)
    alphas = 1 - torch.exp(-field.density(points()) / 40.0)
    torch.testing.assert_close(alphas, torch.full((64,), 0.01), rtol=1e-4, atol=0)


def test_dvgos_surface_lies_inside_a_cell():
    """Activated after interpolation: between two vertices the density rises much later, and more steeply, than along a line."""
    field = DVGO(DVGOConfig(voxels=VoxelGridConfig(resolutions=(2,)), density_scale=1.0, initial_alpha=0.5))
    with torch.no_grad():
        field.voxels.density.copy_(torch.tensor([-30.0, 30.0]).repeat(4)[:, None])  # at x = -1 and x = 1
    x = torch.tensor([[-1.0, 0, 0], [-0.5, 0, 0], [0.0, 0, 0], [0.5, 0, 0], [1.0, 0, 0]])
    expected = [0.0, 0.0, math.log(2), 15.0, 30.0]
    torch.testing.assert_close(field.density(Points(x)), torch.tensor(expected), rtol=1e-4, atol=1e-5)


@BOTH
def test_density_alone_is_the_same_and_only_color_sees_the_direction(make):
    field = make()
    fill_ball(field.voxels, 1.0, -1.0)
    sigmas, rgbs = field(points())
    assert torch.equal(field.density(points()), sigmas)
    others = field(points()._replace(directions=-points().directions))
    assert torch.equal(others[0], sigmas)
    assert (others[1] - rgbs).abs().max() > 1e-3
    assert ((rgbs >= 0) & (rgbs <= 1)).all()


@BOTH
def test_groups_and_parts_hold_all_and_geometry_is_the_density(make):
    field: RadianceField = make()
    fill_ball(field.voxels, 1.0, 0.1)
    for of in (field.param_groups(), field.parts()):
        listed = [id(parameter) for parameters in of.values() for parameter in parameters]
        assert sorted(listed) == sorted(id(parameter) for parameter in field.parameters())
    field.density(points()).sum().backward()
    assert all(parameter.grad is not None for parameter in field.parts()["geometry"])
    assert all(parameter.grad is None for parameter in field.parts()["color"])


@BOTH
def test_positions_have_a_gradient(make):
    field = make()
    fill_ball(field.voxels, 1.0, -1.0)
    x = points(200).positions.requires_grad_()
    sigmas, rgbs = field(points(200)._replace(positions=x))
    (sigmas.sum() + rgbs.sum()).backward()
    assert x.grad.isfinite().all()
    assert (x.grad != 0).any(dim=1).float().mean() > 0.9


@BOTH
def test_no_points(make):
    sigmas, rgbs = make()(Points(torch.zeros(0, 3), directions=torch.zeros(0, 3)))
    assert sigmas.shape == (0,)
    assert rgbs.shape == (0, 3)


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (VoxelGridConfig, {"resolutions": (8, 8)}),
        (VoxelGridConfig, {"resolutions": ()}),
        (VoxelGridConfig, {"resolutions": (1, 4)}),
        (VoxelGridConfig, {"last_growth": 0.0}),
        (VoxelGridConfig, {"tv_share": 1.5}),
        (VoxelGridConfig, {"tv_interval": 0}),
        (VoxelGridConfig, {"min_density": -1.0}),
        (PlenoxelsConfig, {"density_scale": 0.0}),
        (PlenoxelsConfig, {"initial_density": -1.0}),
        (DVGOConfig, {"initial_alpha": 1.0}),
        (DVGOConfig, {"density_scale": -1.0}),
        (DVGOConfig, {"feature_width": 0}),
    ],
)
def test_bad_options_are_refused(config: type, options: dict):
    with pytest.raises(InputError, match=next(iter(options))):
        config(**options)
