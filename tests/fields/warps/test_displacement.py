"""D-NeRF's displacement."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import Dataset
from nerf_plugins.fields.warps.displacement import Displacement, DisplacementConfig
from nerf_plugins.rays import Points

SMALL = DisplacementConfig(D=3, W=16, skips=(1,), precision="fp32")


def strong(dataset: Dataset) -> Displacement:
    torch.manual_seed(0)
    warp = Displacement(SMALL, dataset)
    torch.nn.init.normal_(warp.network.head.weight)
    return warp


@pytest.mark.parametrize("first", [0.0, 0.25])
def test_it_is_the_identity_at_the_first_time_alone(first: float):
    warp = strong(Dataset(3, torch.tensor([0.5, first, 1.0])))
    positions = torch.rand(40, 3) * 2 - 1
    torch.testing.assert_close(warp(Points(positions, times=torch.full((40,), first))), positions, rtol=0, atol=0)
    near = warp(Points(positions, times=torch.full((40,), first + 1e-4))) - positions
    far = warp(Points(positions, times=torch.full((40,), first + 0.5))) - positions
    assert 0 < near.abs().max() < 1e-2 < far.abs().mean()


def test_times_of_rays_are_those_of_their_points():
    warp = strong(Dataset())
    positions, rays = torch.rand(30, 3) * 2 - 1, torch.arange(30) % 4
    times = torch.tensor([0.1, 0.9, 0.4, 0.0])
    of_rays = warp(Points(positions, ray_indices=rays, times=times))
    torch.testing.assert_close(of_rays, warp(Points(positions, times=times[rays])))


def test_every_parameter_gets_a_gradient_and_so_do_positions():
    warp = strong(Dataset())
    positions = (torch.rand(20, 3) * 2 - 1).requires_grad_()
    warp(Points(positions, times=torch.rand(20))).square().sum().backward()
    for parameter in warp.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()
    assert positions.grad.any()


def test_no_points():
    assert strong(Dataset())(Points(torch.zeros(0, 3), times=torch.zeros(0))).shape == (0, 3)


@pytest.mark.parametrize("options", [{"D": 0}, {"W": 0}, {"D": 4, "skips": (3,)}, {"skips": (2, 2)}])
def test_bad_options_are_refused(options: dict):
    with pytest.raises(InputError, match="warp:"):
        DisplacementConfig(**options)
