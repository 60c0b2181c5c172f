"""The distortion loss: cases by hand, float64 reference, gradients, and bad input."""

import pytest
import torch

from nerf_plugins.ops import distortion_loss

from . import reference
from .cases import pack, random_packed


def random_samples(seed: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    packed = random_packed(generator, [6, 0, 50, 1])
    weights = torch.rand(len(packed.sigmas), generator=generator) * 0.1
    return weights.requires_grad_(), packed.t_starts, packed.t_ends, packed.packed_info


def test_by_hand():
    # Middles 0.5 and 2, widths 1 and 2: 2 * 0.5 * 0.25 * 1.5 between them, (0.25 * 1 + 0.0625 * 2) / 3 within.
    weights = torch.tensor([0.5, 0.25], requires_grad=True)
    loss = distortion_loss(weights, torch.tensor([0.0, 1.0]), torch.tensor([1.0, 3.0]), pack([2]))
    assert loss.tolist() == pytest.approx([0.375 + 0.125])
    loss.sum().backward()
    assert weights.grad.tolist() == pytest.approx([0.75 + 1 / 3, 1.5 + 1 / 3])


@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_are_the_references(seed: int):
    mine = random_samples(seed)
    weights = mine[0].detach().double().requires_grad_()
    scale = torch.rand(4, generator=torch.Generator().manual_seed(seed))
    loss = distortion_loss(*mine)
    expected = reference.distortion_loss(weights, mine[1].double(), mine[2].double(), mine[3])
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-9)
    (loss * scale).sum().backward()
    (expected * scale).sum().backward()
    torch.testing.assert_close(mine[0].grad.double(), weights.grad, rtol=1e-4, atol=1e-7)


def test_far_samples_that_are_close_to_each_other_keep_their_digits():
    starts = 1.0 - torch.arange(64, 0, -1) * 2.0**-20
    weights = torch.full((64,), 1 / 64)
    ends = starts + 2.0**-20
    loss = distortion_loss(weights, starts, ends, pack([64]))
    expected = reference.distortion_loss(*(x.double() for x in (weights, starts, ends)), pack([64]))
    torch.testing.assert_close(loss.double(), expected, rtol=1e-4, atol=0)


@pytest.mark.usefixtures("without_type_checker")
def test_bad_input_is_named():
    weights, starts, ends, info = random_samples(0)
    with pytest.raises(ValueError, match="s_ends"):
        distortion_loss(weights, starts, ends[:-1], info)
    with pytest.raises(TypeError, match="packed_info"):
        distortion_loss(weights, starts, ends, info.long())
