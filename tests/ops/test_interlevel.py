"""The interlevel loss: cases by hand, float64 reference, gradients, and bad input."""

import pytest
import torch

from nerf_plugins.ops import interlevel_loss

from . import reference
from .cases import pack, random_packed


def histograms(fine: list[float], proposed: list[float]) -> list[torch.Tensor]:
    """One ray: the fine intervals [0, 1], [1, 2], ... and proposals twice as wide."""
    t, p = torch.arange(len(fine) + 1.0), 2 * torch.arange(len(proposed) + 1.0)
    weights = torch.tensor(proposed, requires_grad=True)
    return [t[:-1], t[1:], torch.tensor(fine), pack([len(fine)]), p[:-1], p[1:], weights, pack([len(proposed)])]


def random_histograms(seed: int) -> list[torch.Tensor]:
    """Rays with gaps between their intervals, some without any."""
    generator = torch.Generator().manual_seed(seed)
    fine = random_packed(generator, [7, 0, 40, 3, 0, 12])
    coarse = random_packed(generator, [5, 4, 9, 0, 0, 30])
    weights = [torch.rand(len(p.sigmas), generator=generator) * 0.2 for p in (fine, coarse)]
    return [*fine[2:4], weights[0], fine[4], *coarse[2:4], weights[1].requires_grad_(), coarse[4]]


def double(arguments: list[torch.Tensor]) -> list[torch.Tensor]:
    return [a.detach().double().requires_grad_(a.requires_grad) if a.is_floating_point() else a for a in arguments]


def test_by_hand():
    # Bounds 0.1, 0.1, 0.4, 0.4: the second interval exceeds its by 0.2, the fourth by 0.1.
    arguments = histograms([0.05, 0.3, 0.2, 0.5], [0.1, 0.4])
    loss = interlevel_loss(*arguments)
    assert loss.tolist() == pytest.approx([0.2**2 / 0.3 + 0.1**2 / 0.5], rel=1e-5)
    loss.sum().backward()
    assert arguments[6].grad.tolist() == pytest.approx([-2 * 0.2 / 0.3, -2 * 0.1 / 0.5], rel=1e-5)


def test_intervals_that_share_an_edge_do_not_overlap():
    loss = interlevel_loss(*histograms([0.0, 0.0, 0.5, 0.0], [0.9, 0.0]))
    assert loss.tolist() == pytest.approx([0.5], rel=1e-5)


def test_a_bound_that_holds_costs_nothing():
    arguments = histograms([0.1, 0.2, 0.0, 0.3], [0.3, 0.3])
    interlevel_loss(*arguments).sum().backward()
    assert interlevel_loss(*arguments).tolist() == [0]
    assert not arguments[6].grad.any()


@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_are_the_references(seed: int):
    mine = random_histograms(seed)
    exact = double(mine)
    scale = torch.rand(6, generator=torch.Generator().manual_seed(seed))
    loss, expected = interlevel_loss(*mine), reference.interlevel_loss(*exact)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-4, atol=1e-7)
    (loss * scale).sum().backward()
    (expected * scale).sum().backward()
    torch.testing.assert_close(mine[6].grad.double(), exact[6].grad, rtol=1e-4, atol=1e-6)
    assert exact[6].grad.abs().sum() > 0


def test_the_fine_weights_have_no_gradient():
    arguments = histograms([0.05, 0.3], [0.1])
    arguments[2].requires_grad_()
    interlevel_loss(*arguments).sum().backward()
    assert arguments[2].grad is None


@pytest.mark.usefixtures("without_type_checker")
def test_bad_input_is_named():
    arguments = histograms([0.05, 0.3], [0.1])
    with pytest.raises(ValueError, match="proposal_info"):
        interlevel_loss(*arguments[:7], pack([1, 0]))
    with pytest.raises(TypeError, match="weights"):
        interlevel_loss(*arguments[:2], arguments[2].double(), *arguments[3:])
