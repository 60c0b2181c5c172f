"""A canonical scene of more dimensions."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import Dataset
from nerf_plugins.fields.hyper import AmbientMLPConfig, HyperField, HyperFieldConfig
from nerf_plugins.fields.slices import SheetConfig
from nerf_plugins.fields.warps.screw import ScrewConfig
from nerf_plugins.rays import Points

PHOTOS = Dataset(3, torch.tensor([0.0, 0.5, 1.0]))


def hyper(slicing: str = "sheet", strong: bool = True) -> HyperField:
    torch.manual_seed(0)
    config = HyperFieldConfig(
        warp=ScrewConfig(D=2, W=16, skips=(), code_width=4, precision="fp32"),
        canonical=AmbientMLPConfig(D=2, W=32, skips=(), precision="fp32"),
        slicing=slicing,
        sheet=SheetConfig(D=2, W=16, skips=(), precision="fp32"),
    )
    field = config.setup(dataset=PHOTOS)
    torch.nn.init.normal_(field.warp.network.time.weight)
    if strong and slicing == "sheet":
        torch.nn.init.normal_(field.slice.head.weight)
    return field


def points(n: int = 30, times: torch.Tensor | None = None) -> Points:
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    positions = torch.rand(n, 3, generator=generator) - 0.5
    return Points(
        positions, directions=directions, times=torch.rand(n, generator=generator) if times is None else times
    )


@pytest.mark.parametrize("slicing", ["sheet", "plane"])
def test_density_and_colour_depend_on_the_ambient_place(slicing):
    field, asked = hyper(slicing), points()
    sigmas, rgbs = field(asked)
    torch.testing.assert_close(field.density(asked), sigmas)
    placed = field.in_canonical(asked)
    assert placed.ambient.shape == (30, 2)
    torch.testing.assert_close(field.canonical(placed)[1], rgbs)
    moved = field.canonical(placed._replace(ambient=placed.ambient + 0.3))
    assert (moved[0] - sigmas).abs().max() > 1e-3
    assert (moved[1] - rgbs).abs().max() > 1e-4


def test_a_plane_is_flat_and_a_sheet_is_not():
    one_time = points(times=torch.full((30,), 0.5))
    assert hyper("plane").ambient(one_time).unique(dim=0).shape == (1, 2)
    assert hyper("sheet").ambient(one_time).unique(dim=0).shape == (30, 2)
    assert hyper("sheet", strong=False).ambient(one_time).abs().max() < 1e-3


@pytest.mark.parametrize("slicing", ["sheet", "plane"])
def test_ambient_dimensions_come_late(slicing):
    """Up to the delay what is seen depends on the position alone."""
    field, asked = hyper(slicing), points()
    placed = field.in_canonical(asked)

    def depends() -> bool:
        moved = field.canonical(placed._replace(ambient=placed.ambient + 0.3))
        return not torch.equal(moved[0], field.canonical(placed)[0])

    for progress, expected in [(0.0, False), (0.004, False), (0.02, True), (1.0, True)]:
        field.set_progress(progress)
        assert depends() is expected
    assert float(field.canonical.ambient.windows) == 1.0


@pytest.mark.parametrize("slicing", ["sheet", "plane"])
def test_every_parameter_is_trained_and_in_one_group_and_part(slicing):
    field = hyper(slicing)
    sigmas, rgbs = field(points())
    (sigmas.sum() + rgbs.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in field.parameters())
    every = {id(parameter) for parameter in field.parameters()}
    for owner in (field.param_groups(), field.parts()):
        listed = [id(parameter) for parameters in owner.values() for parameter in parameters]
        assert len(listed) == len(set(listed))
        assert set(listed) == every
    assert {id(p) for p in field.slice.parameters()} <= {id(p) for p in field.parts()["warp"]}


def test_bad_options_are_refused():
    with pytest.raises(InputError, match="n_ambient"):
        AmbientMLPConfig(n_ambient=0)
    with pytest.raises(InputError, match="sheet: skips"):
        SheetConfig(skips=(5,))
