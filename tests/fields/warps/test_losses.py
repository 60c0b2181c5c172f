"""Jacobians of warps and what they are pulled to."""

import math

import pytest
import torch

from nerf_plugins.drawing import draw_by_weight
from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import Dataset
from nerf_plugins.fields.encodings import WindowedEncodingConfig
from nerf_plugins.fields.warps.displacement import DisplacementConfig
from nerf_plugins.fields.warps.network import NetworkWarp, NetworkWarpConfig
from nerf_plugins.fields.warps.regularisers import robust
from nerf_plugins.fields.warps.screw import ScrewConfig
from nerf_plugins.rays import Points

NETWORK = {"D": 3, "W": 32, "skips": (1,), "precision": "fp32", "position": WindowedEncodingConfig(n_frequencies=3)}
PHOTOS = Dataset(3, torch.tensor([0.0, 0.5, 1.0]), background=torch.rand(40, 3) - 0.5)


def asked(n: int = 40) -> Points:
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(n, 3, generator=generator) - 0.5
    return Points(positions, ray_indices=torch.arange(n) % 5, times=torch.rand(5, generator=generator))


def strong(config: NetworkWarpConfig) -> NetworkWarp:
    torch.manual_seed(0)
    warp = config.setup(dataset=PHOTOS)
    torch.nn.init.normal_(warp.network.head.weight, std=0.3)
    return warp


@pytest.mark.parametrize("kind", [ScrewConfig, DisplacementConfig])
@pytest.mark.parametrize("code_width", [0, 4])
def test_jacobians_are_autograds(kind, code_width):
    warp, points = strong(kind(**NETWORK, code_width=code_width)), asked()
    jacobians = warp.jacobians(points)
    assert (jacobians - torch.eye(3)).abs().mean() > 0.1
    positions = points.positions.requires_grad_()
    warped = warp(points._replace(positions=positions))
    for i in range(3):
        (row,) = torch.autograd.grad(warped[:, i].sum(), positions, retain_graph=True)
        torch.testing.assert_close(jacobians[:, i], row, rtol=1e-3, atol=1e-4)


def test_a_loss_of_jacobians_trains_as_through_autograd():
    """Against two backward passes, one through the other."""
    warp, points = strong(ScrewConfig(**NETWORK, code_width=4)), asked()
    warp.jacobians(points).square().mean().backward()
    mine = {name: parameter.grad.clone() for name, parameter in warp.named_parameters() if parameter.grad is not None}
    warp.zero_grad()
    positions = points.positions.requires_grad_()
    warped = warp(points._replace(positions=positions))
    rows = [torch.autograd.grad(warped[:, i].sum(), positions, create_graph=True)[0] for i in range(3)]
    torch.stack(rows).square().mean().backward()
    for name, parameter in warp.named_parameters():
        if name in mine:
            torch.testing.assert_close(mine[name], parameter.grad, rtol=1e-3, atol=1e-5)


class Scaled(NetworkWarp):
    """Everything grows by a factor, and turns if it is a screw that turns all alike."""

    def __init__(self, config: NetworkWarpConfig, factor: float) -> None:
        super().__init__(config, PHOTOS, n_outputs=3)
        self.factor = factor

    def move(self, x, outputs, points):
        return self.factor * x.roll(1, dims=-1) + 0.0 * outputs


@pytest.mark.parametrize(
    ("factor", "strain"), [(1.0, 0.0), (1.02, 3 * math.log(1.02) ** 2), (2.0, 3 * math.log(2) ** 2)]
)
def test_the_elastic_loss_by_hand(factor, strain):
    """A turn costs nothing; a scale s costs as much as the scale of the loss lets 3 log(s)^2."""
    warp = Scaled(DisplacementConfig(D=1, W=4, skips=(), elastic_mult=10.0, elastic_share=0.5), factor)
    weights = torch.rand(40, generator=torch.Generator().manual_seed(1))
    loss = warp.losses(asked(), weights)["elastic_loss"]
    expected = 10.0 * weights.sum() / 5 * 0.03 * 2 * (strain / 0.03**2) / (strain / 0.03**2 + 4)
    torch.testing.assert_close(loss, expected.float(), rtol=1e-3, atol=1e-6)


def test_what_nobody_sees_may_bend():
    warp = strong(ScrewConfig(**NETWORK, elastic_mult=1.0))
    loss = warp.losses(asked(), torch.zeros(40))["elastic_loss"]
    loss.backward()
    assert loss == 0
    empty = Points(torch.zeros(0, 3), ray_indices=torch.zeros(0, dtype=torch.long), times=torch.rand(5))
    assert warp.losses(empty, torch.zeros(0))["elastic_loss"] == 0


def test_the_elastic_loss_is_finite_at_the_start():
    """The identity has three equal singular values and no rotation."""
    warp = ScrewConfig(**NETWORK, elastic_mult=1.0).setup(dataset=PHOTOS)
    torch.nn.init.zeros_(warp.network.head.weight)
    warp.losses(asked(), torch.ones(40))["elastic_loss"].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in warp.parameters())


class Shifted(NetworkWarp):
    """A shift along x that grows with the time."""

    def __init__(self, config: NetworkWarpConfig, dataset: Dataset) -> None:
        super().__init__(config, dataset, n_outputs=1)

    def move(self, x, outputs, points):
        return x + 1e-3 * points.per_point(points.times)[:, None] * torch.tensor([1.0, 0.0, 0.0]) + 0.0 * outputs


def test_the_background_loss_by_hand():
    config = DisplacementConfig(D=1, W=4, skips=(), background_mult=3.0, n_background=2000)
    loss = Shifted(config, PHOTOS).losses(asked(), torch.ones(40))["background_loss"]
    # Shifts of 0, 1/2 and 1 times the scale, as the photos' times are.
    expected = 3.0 * 1e-3 * (0 + 2 * 0.25 / 4.25 + 2 * 1 / 5) / 3
    assert float(loss.detach()) == pytest.approx(expected, rel=0.1)


def test_without_background_points_there_is_no_loss():
    config = DisplacementConfig(D=1, W=4, skips=(), background_mult=3.0)
    assert Shifted(config, PHOTOS._replace(background=None)).losses(asked(), torch.ones(40)) == {}


def test_the_robust_loss_has_the_papers_form():
    squared = torch.tensor([0.0, 1e-4, 0.01, 5.0])
    scaled = squared / 0.03**2
    torch.testing.assert_close(robust(squared, 0.03), 0.03 * 2 * scaled / (scaled + 4))


def test_samples_are_drawn_as_often_as_they_weigh():
    weights = torch.tensor([0.0, 3.0, 0.0, 1.0, 0.0])
    torch.manual_seed(0)
    chosen, share = draw_by_weight(weights, 400)
    assert chosen.bincount(minlength=5).tolist() == pytest.approx([0, 300, 0, 100, 0], abs=1)
    assert float(share.sum()) == pytest.approx(4.0)


@pytest.mark.parametrize(
    "options", [{"elastic_mult": -1.0}, {"elastic_share": 0.0}, {"n_background": 0}, {"code_width": -1}]
)
def test_bad_options_are_refused(options):
    with pytest.raises(InputError, match="warp:"):
        ScrewConfig(**options)
