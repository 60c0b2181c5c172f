"""The references against numbers worked out by hand, and their gradients against finite differences."""

import math

import pytest
import torch

from . import reference
from .cases import LN2, MARCH_CASES, pack, random_march_problem, random_packed

F64 = {"dtype": torch.float64}


@pytest.mark.parametrize("case", MARCH_CASES, ids=lambda case: case.name)
def test_march_by_hand(case):
    rays = {name: value[0] for name, value in case.tensors().items() if name not in ("occupancy", "aabb")}
    lattice = reference.march_lattice(
        rays["origins"],
        rays["directions"],
        rays["nears"],
        rays["fars"],
        case.tensors()["occupancy"],
        case.tensors()["aabb"],
        jitter=case.jitter,
        **case.steps,
    )
    starts, ends = lattice.t_starts[lattice.is_sample], lattice.t_ends[lattice.is_sample]
    expected = torch.tensor(case.edges, **F64).reshape(-1, 2)
    torch.testing.assert_close(torch.stack([starts, ends], dim=-1), expected, rtol=1e-6, atol=1e-6)
    assert not (lattice.in_band & lattice.is_sample).any(), "a case worked out by hand must not be a close call"


def test_the_band_holds_close_calls_only():
    full = torch.ones(1, 2, 2, 2, dtype=torch.bool)
    box = torch.tensor([[-1.0, -1, -1], [1, 1, 1]])
    points = torch.tensor([[0.0, 0.5, 0.5], [1e-6, 0.5, 0.5], [1e-3, 0.5, 0.5], [0.5, 0.5, 1.0], [0.5, 0.5, 1.2]])
    occupied, near_face = reference.look_up(points, full, box)
    assert occupied.tolist() == [True, True, True, True, False]
    assert near_face.tolist() == [True, True, False, True, False]


def test_level_boxes_keep_the_centre():
    aabb = torch.tensor([[0.0, 0.0, 0.0], [4.0, 2.0, 1.0]])
    torch.testing.assert_close(reference.level_box(aabb, 0), aabb)
    torch.testing.assert_close(reference.level_box(aabb, 2), torch.tensor([[-6.0, -3.0, -1.5], [10.0, 5.0, 2.5]]))


def test_random_problems_are_rarely_in_the_band(generator):
    problem = random_march_problem(generator, 50, levels=2, n_steps=30)
    rays = problem.rays
    in_band, is_sample = [], []
    for ray in range(50):
        lattice = reference.march_lattice(
            rays["origins"][ray],
            rays["directions"][ray],
            rays["nears"][ray],
            rays["fars"][ray],
            problem.occupancy,
            problem.aabb,
            jitter=rays["jitter"][ray],
            **problem.steps,
        )
        in_band.append(lattice.in_band)
        is_sample.append(lattice.is_sample)
    assert torch.cat(in_band).float().mean() < 0.02
    assert 0.05 < torch.cat(is_sample).float().mean() < 0.6


def unit_intervals(sigmas):
    """Intervals [0, 1], [1, 2], ... of one ray with red, green and blue samples."""
    n = len(sigmas)
    t_starts = torch.arange(n, **F64)
    return torch.tensor(sigmas, **F64), torch.eye(3, **F64)[torch.arange(n) % 3], t_starts, t_starts + 1, pack([n])


def test_composite_by_hand():
    out = reference.composite(*unit_intervals([LN2, LN2, LN2]))
    # Each sample stops half of what reaches it; the first one sees everything.
    torch.testing.assert_close(out.transmittance, torch.tensor([1.0, 0.5, 0.25], **F64))
    torch.testing.assert_close(out.weights, torch.tensor([0.5, 0.25, 0.125], **F64))
    torch.testing.assert_close(out.rgb, torch.tensor([[0.5, 0.25, 0.125]], **F64))
    torch.testing.assert_close(out.accumulation, torch.tensor([0.875], **F64))
    torch.testing.assert_close(out.depth, torch.tensor([(0.25 + 0.375 + 0.3125) / 0.875], **F64))
    torch.testing.assert_close(out.median_depth, torch.tensor([0.5], **F64))


def test_composite_median_by_hand():
    # alpha = 1/4 and 2/3: weights 1/4 and 1/2, so half of the 3/4 is reached in the second sample.
    out = reference.composite(*unit_intervals([math.log(4 / 3), math.log(3)]))
    torch.testing.assert_close(out.weights, torch.tensor([0.25, 0.5], **F64))
    assert out.median_depth.tolist() == [1.5]


def test_composite_early_stop_by_hand():
    arguments = unit_intervals([LN2, LN2, LN2])
    sigmas = arguments[0].requires_grad_()
    out = reference.composite(sigmas, *arguments[1:], early_stop_eps=0.3)
    torch.testing.assert_close(out.weights, torch.tensor([0.5, 0.25, 0.0], **F64))
    (gradient,) = torch.autograd.grad(out.accumulation.sum(), sigmas)
    torch.testing.assert_close(gradient, torch.tensor([0.25, 0.25, 0.0], **F64))


def test_composite_gradients_by_hand():
    arguments = unit_intervals([LN2, LN2, LN2])
    sigmas = arguments[0].requires_grad_()
    out = reference.composite(sigmas, *arguments[1:])
    gradient = lambda value: torch.autograd.grad(value, sigmas, retain_graph=True)[0].tolist()  # noqa: E731
    assert gradient(out.accumulation[0]) == pytest.approx([0.125, 0.125, 0.125])
    assert gradient(out.rgb[0, 0]) == pytest.approx([0.5, 0.0, 0.0])
    assert gradient(out.rgb[0, 1]) == pytest.approx([-0.25, 0.25, 0.0])
    assert gradient(out.rgb[0, 2]) == pytest.approx([-0.125, -0.125, 0.125])


def test_composite_of_nothing_by_hand():
    out = reference.composite(*unit_intervals([0.0, 0.0]))
    assert (out.accumulation.item(), out.depth.item(), out.median_depth.item()) == (0.0, 0.0, 0.0)


def test_composite_gradcheck(generator):
    packed = random_packed(generator, [4, 0, 3, 1]).double()
    sigmas, rgbs = packed.sigmas.requires_grad_(), packed.rgbs.requires_grad_()

    def outputs(sigmas, rgbs):
        out = reference.composite(sigmas, rgbs, *packed[2:], early_stop_eps=0.05)
        return out.rgb, out.accumulation, out.depth, out.weights

    assert torch.autograd.gradcheck(outputs, (sigmas, rgbs))


def test_gradient_scale_bounds_the_gradient(generator):
    packed = random_packed(generator, [6, 0, 9]).double()
    sigmas, rgbs = packed.sigmas.requires_grad_(), packed.rgbs.requires_grad_()
    out = reference.composite(sigmas, rgbs, *packed[2:])
    grads = [torch.randn(value.shape, generator=generator, **F64) for value in (out.rgb, out.accumulation, out.depth)]
    grads.append(torch.randn(out.weights.shape, generator=generator, **F64))
    torch.autograd.backward([out.rgb, out.accumulation, out.depth, out.weights], grads)
    scale = reference.composite_gradient_scale(
        sigmas.detach(), rgbs.detach(), packed.t_starts, packed.t_ends, packed.packed_info, *grads
    )
    assert (sigmas.grad.abs() <= scale.sigmas * (1 + 1e-9)).all()
    torch.testing.assert_close(rgbs.grad.abs(), scale.rgbs)


def test_sample_pdf_by_hand():
    t_starts, t_ends = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 4.0])
    weights = torch.tensor([1.0, 3.0], **F64) - reference.PDF_PADDING  # probabilities 1/4 and 3/4
    u = torch.tensor([[0.0, 0.125, 0.625, 0.9375]])
    t = reference.sample_pdf(t_starts, t_ends, weights, pack([2]), u)
    torch.testing.assert_close(t, torch.tensor([[0.0, 0.5, 3.0, 2 + 2 * 0.6875 / 0.75]], **F64))


def test_sample_pdf_without_weight_gives_each_interval_the_same():
    t_starts, t_ends = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 4.0])
    u = torch.tensor([[0.25, 0.75], [0.5, 0.1]])
    packed_info = torch.tensor([[0, 2], [0, 0]], dtype=torch.int32)
    t = reference.sample_pdf(t_starts, t_ends, torch.zeros(2), packed_info, u)
    torch.testing.assert_close(t, torch.tensor([[0.5, 2.5], [0.0, 0.0]], **F64))


def test_cdf_inverts_the_reference(generator):
    t_starts = torch.tensor([0.0, 2.0, 3.0], **F64)
    t_ends = torch.tensor([1.0, 2.5, 7.0], **F64)
    weights = torch.tensor([0.2, 0.0, 0.5], **F64)
    u = torch.rand(1, 100, generator=generator, **F64)
    t = reference.sample_pdf(t_starts, t_ends, weights, pack([3]), u)
    torch.testing.assert_close(reference.cdf_at(t[0], t_starts, t_ends, weights), u[0])
