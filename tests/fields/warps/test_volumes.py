"""The displacement from volumes over space and time."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.warps.volumes import Volumes, VolumesConfig
from nerf_plugins.rays import Points

DENSE = HashEncodingConfig(n_levels=2, base_resolution=8, max_resolution=16, log2_table_size=12)


def strong(**options) -> Volumes:
    """A warp that displaces, in float32."""
    torch.manual_seed(0)
    warp = VolumesConfig(volume=DENSE, precision="fp32", **options).setup()
    torch.nn.init.normal_(warp.head.weight)
    for volume in warp.volumes:
        torch.nn.init.normal_(volume.table)
    return warp


def some(n: int = 40, times: torch.Tensor | None = None) -> Points:
    generator = torch.Generator().manual_seed(1)
    positions = torch.rand(n, 3, generator=generator) * 2 - 1
    return Points(positions, times=torch.rand(n, generator=generator) if times is None else times)


def test_it_starts_as_the_identity():
    warp, points = VolumesConfig().setup(), some()
    assert (warp(points) - points.positions).abs().max() < 1e-2


def test_every_parameter_gets_a_gradient_and_so_do_positions():
    warp, points = strong(), some(2000)
    points.positions.requires_grad_()
    warp(points).square().sum().backward()
    for parameter in [*warp.parameters(), points.positions]:
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()


def test_a_time_is_learnt_without_touching_others():
    """Whatever becomes of the entries that a time's gradient reaches, another time is displaced as before."""
    warp = strong()
    then, elsewhen = some(times=torch.zeros(40)), some(times=torch.ones(40))
    before = warp(elsewhen).detach(), warp(then).detach()
    warp(then).sum().backward()
    with torch.no_grad():
        for volume in list(warp.volumes)[1:]:
            volume.table += (volume.table.grad != 0).float()
    torch.testing.assert_close(warp(elsewhen), before[0], rtol=0, atol=0)
    assert (warp(then) - before[1]).abs().mean() > 1e-2


@pytest.mark.parametrize("volume", range(4))
def test_each_volume_sees_its_own_coordinates(volume: int):
    """By the derivatives, where the network sees nothing but that volume: exactly 0 by what it does not see."""
    warp, points = strong(), some()
    inputs, width = warp.layers[0].layers[0].weight, warp.volumes[0].width
    with torch.no_grad():
        seen = torch.zeros_like(inputs)
        seen[:, volume * width : (volume + 1) * width] = inputs[:, volume * width : (volume + 1) * width]
        inputs.copy_(seen)
    points.positions.requires_grad_()
    points.times.requires_grad_()
    by = torch.autograd.grad((warp(points) - points.positions).square().sum(), [points.positions, points.times])
    is_seen = [*(column.any().item() for column in by[0].unbind(-1)), by[1].any().item()]
    assert is_seen == [name in ("xyz", "xyt", "xzt", "yzt")[volume] for name in "xyzt"]


def test_space_is_coarser_than_time():
    """Twice as coarse, space twice as far away looks the same."""
    points = some()
    near = strong(coarseness=1.0)._coordinates(points.positions / 2, points.times[:, None])
    far = strong(coarseness=2.0)._coordinates(points.positions, points.times[:, None])
    for a, b in zip(near, far):
        torch.testing.assert_close(a, b)


def test_times_of_rays_are_those_of_their_points():
    warp, points = strong(), some(30)
    rays, times = torch.arange(30) % 4, torch.tensor([0.1, 0.9, 0.4, 0.0])
    of_rays = warp(Points(points.positions, ray_indices=rays, times=times))
    torch.testing.assert_close(of_rays, warp(points._replace(times=times[rays])))


def test_no_points():
    assert strong()(Points(torch.zeros(0, 3), times=torch.zeros(0))).shape == (0, 3)


def test_bad_options_are_refused():
    with pytest.raises(InputError, match=r"coarseness must be >= 1, got 0\.5"):
        VolumesConfig(coarseness=0.5)
