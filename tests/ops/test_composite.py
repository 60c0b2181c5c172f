"""Compositing: cases by hand, float64 reference, gradients, padding, and bad input."""

import math

import pytest
import torch
from hypothesis import given

from nerf_plugins.ops import Composited, blend_background, composite

from . import reference
from .cases import LN2, Packed, pack, random_packed
from .strategies import packed_samples

RTOL = 1e-5
UNDERFLOW = 1e-30
"""Values smaller than this may round to 0 in float32."""

DIFFERENTIABLE = ("rgb", "accumulation", "depth", "weights")


def unit_intervals(sigmas) -> Packed:
    """Intervals [0, 1], [1, 2], ... of one ray with red, green and blue samples."""
    n = len(sigmas)
    t_starts = torch.arange(n, dtype=torch.float32)
    return Packed(torch.tensor(sigmas), torch.eye(3)[torch.arange(n) % 3], t_starts, t_starts + 1, pack([n]))


def optical_depth_before(packed: Packed) -> torch.Tensor:
    """The optical depth in front of each sample: the condition number of its transmittance."""
    tau = packed.sigmas.double() * (packed.t_ends.double() - packed.t_starts.double())
    before = torch.zeros_like(tau)
    for start, count in packed.packed_info.tolist():
        before[start : start + count] = tau[start : start + count].cumsum(0) - tau[start : start + count]
    return before


def assert_close_to_reference(packed: Packed, **options) -> None:
    mine, expected = composite(*packed, **options), reference.composite(*packed.double(), **options)
    weights_error = (mine.weights - expected.weights).abs()
    allowed = RTOL * expected.weights * optical_depth_before(packed).clamp(min=1)
    assert (weights_error <= allowed + UNDERFLOW).all()
    for name in ("rgb", "accumulation"):
        torch.testing.assert_close(
            getattr(mine, name).double(),
            getattr(expected, name),
            rtol=RTOL,
            atol=UNDERFLOW,
            msg=lambda m, n=name: f"{n}: {m}",
        )
    sure = (expected.accumulation - reference.NO_WEIGHT).abs() > 1e-4 * reference.NO_WEIGHT
    torch.testing.assert_close(mine.depth.double()[sure], expected.depth[sure], rtol=RTOL, atol=0)
    for ray in range(len(packed.packed_info)):
        assert_is_median(packed, expected, ray, float(mine.median_depth[ray]))


def assert_is_median(packed: Packed, expected: reference.ReferenceComposite, ray: int, median: float) -> None:
    """The midpoint of the sample where the running weight reaches half (or is as good as half, there and before)."""
    start, count = packed.packed_info[ray].tolist()
    total = float(expected.accumulation[ray])
    if total <= reference.NO_WEIGHT:
        assert total > 0 or median == 0.0
        return
    mine = slice(start, start + count)
    running = expected.weights[mine].cumsum(0)
    midpoints = ((packed.t_starts[mine] + packed.t_ends[mine]) / 2).double()
    candidates = [int((running >= total / 2 * factor).nonzero()[0]) for factor in (1 - RTOL, 1, 1 + RTOL)]
    assert min(abs(median - float(midpoints[k])) / max(abs(median), 1e-3) for k in candidates) <= 1e-6


def random_grads(out, generator: torch.Generator) -> list[torch.Tensor]:
    return [torch.randn(getattr(out, name).shape, generator=generator) for name in DIFFERENTIABLE]


def gradients(op, packed: Packed, names, grads, **options):
    """Gradients of sigmas and rgbs for the given gradients of the outputs."""
    sigmas, rgbs = packed.sigmas.clone().requires_grad_(), packed.rgbs.clone().requires_grad_()
    out = op(sigmas, rgbs, *packed[2:], **options)
    values = [getattr(out, name) for name in names]
    torch.autograd.backward(values, [grad.to(value.dtype) for grad, value in zip(grads, values, strict=True)])
    zero = torch.zeros_like
    return (zero(sigmas) if sigmas.grad is None else sigmas.grad, zero(rgbs) if rgbs.grad is None else rgbs.grad)


def assert_close_gradients(packed: Packed, generator: torch.Generator) -> None:
    """Each component is right to 1e-5 of the terms it is a sum of."""
    grads = random_grads(composite(*packed), generator)
    mine = gradients(composite, packed, DIFFERENTIABLE, grads)
    expected = gradients(reference.composite, packed.double(), DIFFERENTIABLE, grads)
    by_name = dict(zip(("grad_rgb", "grad_accumulation", "grad_depth", "grad_weights"), grads, strict=True))
    scale = reference.composite_gradient_scale(*packed.double(), **{k: v.double() for k, v in by_name.items()})
    condition = optical_depth_before(packed).clamp(1, 100)
    assert ((mine[0] - expected[0]).abs() <= RTOL * condition * scale.sigmas + UNDERFLOW).all()
    assert ((mine[1] - expected[1]).abs() <= RTOL * condition[:, None] * scale.rgbs + UNDERFLOW).all()


# --- By hand ---------------------------------------------------------------------------------------------------------


def test_by_hand():
    out = composite(*unit_intervals([LN2, LN2, LN2]))
    assert isinstance(out, Composited)
    # Transmittance 1, 1/2, 1/4, and each sample stops half of it.
    torch.testing.assert_close(out.weights, torch.tensor([0.5, 0.25, 0.125]))
    torch.testing.assert_close(out.rgb, torch.tensor([[0.5, 0.25, 0.125]]))
    torch.testing.assert_close(out.accumulation, torch.tensor([0.875]))
    torch.testing.assert_close(out.depth, torch.tensor([0.9375 / 0.875]))
    assert out.median_depth.tolist() == [0.5]


def test_median_by_hand():
    out = composite(*unit_intervals([math.log(4 / 3), math.log(3)]))
    torch.testing.assert_close(out.weights, torch.tensor([0.25, 0.5]))
    assert out.median_depth.tolist() == [1.5]


def test_median_is_of_the_rays_own_weight():
    """Half of the accumulation 0.1, not half of 1."""
    out = composite(*unit_intervals([-math.log(0.93), -math.log(0.97), 0.0]))
    assert out.accumulation.item() == pytest.approx(1 - 0.93 * 0.97, rel=1e-5)
    assert out.median_depth.tolist() == [0.5]


def test_median_skips_samples_without_weight():
    assert composite(*unit_intervals([0.0, 0.0, 5.0, 1.0])).median_depth.tolist() == [2.5]


def test_gradients_by_hand():
    packed, one = unit_intervals([LN2, LN2, LN2]), torch.ones(1)
    sigma_grad, rgb_grad = gradients(composite, packed, ["accumulation"], [one])
    torch.testing.assert_close(sigma_grad, torch.full((3,), 0.125))
    assert not rgb_grad.any()
    for channel, expected in enumerate([[0.5, 0.0, 0.0], [-0.25, 0.25, 0.0], [-0.125, -0.125, 0.125]]):
        sigma_grad, rgb_grad = gradients(composite, packed, ["rgb"], [torch.eye(3)[channel : channel + 1]])
        torch.testing.assert_close(sigma_grad, torch.tensor(expected))
        torch.testing.assert_close(rgb_grad[:, channel], torch.tensor([0.5, 0.25, 0.125]))
        assert rgb_grad.count_nonzero() == 3


def test_weights_gradients_by_hand():
    # dw_j/dsigma_i is T_{i+1} for j = i, -w_j for j > i, and 0 before.
    packed = unit_intervals([LN2, LN2, LN2])
    for sample, expected in enumerate([[0.5, 0.0, 0.0], [-0.25, 0.25, 0.0], [-0.125, -0.125, 0.125]]):
        sigma_grad, _ = gradients(composite, packed, ["weights"], [torch.eye(3)[sample]])
        torch.testing.assert_close(sigma_grad, torch.tensor(expected))


def test_depth_gradients_by_hand():
    # depth = (w_0/2 + 3 w_1/2) / (w_0 + w_1), with w = 1/4, 1/2: depth 7/6; d(depth)/dw = (m - depth) / (3/4).
    packed = unit_intervals([math.log(4 / 3), math.log(3)])
    sigma_grad, _ = gradients(composite, packed, ["depth"], [torch.ones(1)])
    by_weight = [(0.5 - 7 / 6) / 0.75, (1.5 - 7 / 6) / 0.75]
    expected = [0.75 * by_weight[0] - 0.5 * by_weight[1], 0.25 * by_weight[1]]
    torch.testing.assert_close(sigma_grad, torch.tensor(expected))


def test_rays_do_not_shade_each_other():
    first = unit_intervals([1e10])
    both = Packed(
        torch.tensor([1e10, LN2, 1e10, LN2]),
        torch.ones(4, 3),
        torch.tensor([0.0, 0.0, 1.0, 0.0]),
        torch.tensor([1.0, 1.0, 2.0, 1.0]),
        pack([1, 2, 1]),
    )
    torch.testing.assert_close(composite(*both).weights, torch.tensor([1.0, 0.5, 0.5, 0.5]))
    torch.testing.assert_close(composite(*first).weights, torch.ones(1))


def test_early_stop_by_hand():
    packed = unit_intervals([LN2, LN2, LN2, LN2])
    out = composite(*packed, early_stop_eps=0.3)
    torch.testing.assert_close(out.weights, torch.tensor([0.5, 0.25, 0.0, 0.0]))
    torch.testing.assert_close(out.rgb, torch.tensor([[0.5, 0.25, 0.0]]))
    torch.testing.assert_close(out.accumulation, torch.tensor([0.75]))
    sigma_grad, rgb_grad = gradients(
        composite, packed, ["accumulation", "rgb"], [torch.ones(1), torch.zeros(1, 3)], early_stop_eps=0.3
    )
    torch.testing.assert_close(sigma_grad, torch.tensor([0.25, 0.25, 0.0, 0.0]))
    _, rgb_grad = gradients(composite, packed, ["rgb"], [torch.ones(1, 3)], early_stop_eps=0.3)
    torch.testing.assert_close(rgb_grad[:, 0], torch.tensor([0.5, 0.25, 0.0, 0.0]))


# --- Against the reference -------------------------------------------------------------------------------------------


@given(packed_samples())
def test_matches_the_reference(packed):
    assert_close_to_reference(packed)


@given(packed_samples())
def test_gradients_match_the_reference(packed):
    assert_close_gradients(packed, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("optical_depth", [1e-3, 0.3, 3.0, 30.0])
def test_many_rays_match_the_reference(generator, optical_depth):
    counts = torch.randint(0, 100, (80,), generator=generator).tolist()
    packed = random_packed(generator, [*counts, 0, 1, 1500], optical_depth=optical_depth)
    assert_close_to_reference(packed)
    assert_close_gradients(packed, generator)


@pytest.mark.parametrize("early_stop_eps", [1e-4, 0.01, 0.5])
def test_early_stop_matches_the_reference(generator, early_stop_eps):
    packed = random_packed(generator, [60, 0, 10, 300, 25], optical_depth=12.0)
    transmittance = reference.composite(*packed.double()).transmittance
    assert ((transmittance / early_stop_eps - 1).abs() > 1e-3).all(), "no close calls in this case"
    assert (transmittance < early_stop_eps).any()
    assert_close_to_reference(packed, early_stop_eps=early_stop_eps)
    grads = random_grads(composite(*packed), generator)
    mine = gradients(composite, packed, DIFFERENTIABLE, grads, early_stop_eps=early_stop_eps)
    expected = gradients(reference.composite, packed.double(), DIFFERENTIABLE, grads, early_stop_eps=early_stop_eps)
    for a, b in zip(mine, expected, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)
        stopped = transmittance < early_stop_eps
        assert not a[stopped].any()


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_each_outputs_gradient_alone(generator, name):
    """The whole gradient's length, direction and mean: what a systematic error would shift."""
    packed = random_packed(generator, [40, 3, 0, 120, 1, 64], optical_depth=2.0)
    grad = torch.randn(getattr(composite(*packed), name).shape, generator=generator)
    mine = gradients(composite, packed, [name], [grad])
    expected = gradients(reference.composite, packed.double(), [name], [grad])
    for a, b in zip(mine, expected, strict=True):
        a = a.double()
        if not b.any():
            assert not a.any()
            continue
        assert abs(float(a.norm() / b.norm()) - 1) < RTOL
        assert 1 - float((a * b).sum() / a.norm() / b.norm()) < 1e-9
        assert abs(float((a - b).mean() / b.abs().mean())) < RTOL


@pytest.mark.parametrize("which", ["sigmas", "rgbs"])
def test_gradient_of_one_input_only(generator, which):
    packed = random_packed(generator, [10, 5])
    grads = random_grads(composite(*packed), generator)
    both = dict(zip(["sigmas", "rgbs"], gradients(composite, packed, DIFFERENTIABLE, grads), strict=True))
    one = getattr(packed, which).clone().requires_grad_()
    out = composite(*packed._replace(**{which: one}))
    values = [(getattr(out, name), grad) for name, grad in zip(DIFFERENTIABLE, grads, strict=True)]
    values = [(value, grad) for value, grad in values if value.requires_grad]
    torch.autograd.backward([value for value, _ in values], [grad for _, grad in values])
    torch.testing.assert_close(one.grad, both[which], rtol=0, atol=0)


def test_descending_the_gradient_descends_the_loss(generator):
    packed = random_packed(generator, [30] * 20)
    target = torch.rand(20, 3, generator=generator)
    sigmas, rgbs = packed.sigmas.clone().requires_grad_(), packed.rgbs.clone().requires_grad_()

    def loss(sigmas, rgbs):
        return (composite(sigmas, rgbs, *packed[2:]).rgb - target).square().mean()

    before = loss(sigmas, rgbs)
    before.backward()
    before = before.detach()
    step = 1e-2 / float(sigmas.grad.square().sum() + rgbs.grad.square().sum()) * float(before)
    after = loss((sigmas - step * sigmas.grad).detach(), (rgbs - step * rgbs.grad).detach())
    assert float(before - after) == pytest.approx(1e-2 * float(before), rel=0.1)


@pytest.mark.parametrize("sigma", [0.0, 1e-12, 1e-6, 1e6, 1e10])
def test_extreme_sigmas(generator, sigma):
    packed = random_packed(generator, [1, 20, 300, 0])
    for sigmas in (torch.full_like(packed.sigmas, sigma), packed.sigmas.index_fill(0, torch.tensor([5, 90]), sigma)):
        assert_close_to_reference(packed._replace(sigmas=sigmas))
        assert_close_gradients(packed._replace(sigmas=sigmas), generator)


def test_opaque_first_sample_hides_the_rest(generator):
    packed = random_packed(generator, [50])
    packed.sigmas[0] = 1e10
    out = composite(*packed)
    assert out.weights[0] == 1.0
    assert not out.weights[1:].any()
    sigma_grad, rgb_grad = gradients(composite, packed, DIFFERENTIABLE, random_grads(out, generator))
    assert not sigma_grad.any()
    assert not rgb_grad[1:].any()


def test_intervals_of_no_length_have_no_weight():
    packed = unit_intervals([5.0, 5.0, LN2])
    packed = packed._replace(t_ends=torch.tensor([0.0, 1.0, 3.0]))
    out = composite(*packed)
    torch.testing.assert_close(out.weights, torch.tensor([0.0, 0.0, 0.5]))
    sigma_grad, _ = gradients(composite, packed, ["accumulation"], [torch.ones(1)])
    torch.testing.assert_close(sigma_grad, torch.tensor([0.0, 0.0, 0.5]))


# --- Nothing to do, padding ------------------------------------------------------------------------------------------


def assert_nothing(out, n_rays: int, n_samples: int) -> None:
    shapes = {"rgb": (n_rays, 3), "accumulation": (n_rays,), "depth": (n_rays,), "median_depth": (n_rays,)}
    for name, shape in {**shapes, "weights": (n_samples,)}.items():
        assert getattr(out, name).shape == shape
        assert not getattr(out, name).any(), name


@pytest.mark.parametrize(("n_rays", "n_samples"), [(0, 0), (4, 0), (0, 5), (4, 5)])
def test_rays_without_samples(n_rays, n_samples):
    sigmas, rgbs = torch.ones(n_samples, requires_grad=True), torch.ones(n_samples, 3, requires_grad=True)
    t_starts = torch.arange(n_samples, dtype=torch.float32)
    out = composite(sigmas, rgbs, t_starts, t_starts + 1, torch.zeros(n_rays, 2, dtype=torch.int32))
    assert_nothing(out, n_rays, n_samples)
    (out.rgb.sum() + out.accumulation.sum() + out.depth.sum() + out.weights.sum()).backward()
    assert sigmas.grad.shape == sigmas.shape
    assert not sigmas.grad.any()
    assert not rgbs.grad.any()


def test_rays_without_density(generator):
    packed = random_packed(generator, [3, 4])
    assert_nothing(composite(*packed._replace(sigmas=torch.zeros(7))), 2, 7)


@pytest.mark.parametrize("garbage", [0.0, 1e10, math.nan, math.inf])
def test_padding_has_no_weight_and_no_gradient(generator, garbage):
    packed = random_packed(generator, [5, 0, 7])
    pad = lambda value: torch.cat([value, torch.full((9, *value.shape[1:]), garbage)])  # noqa: E731
    padded = Packed(pad(packed.sigmas), pad(packed.rgbs), pad(packed.t_starts), pad(packed.t_ends), packed.packed_info)
    without, out = composite(*packed), composite(*padded)
    for name in ("rgb", "accumulation", "depth", "median_depth"):
        torch.testing.assert_close(getattr(out, name), getattr(without, name), rtol=0, atol=0)
    assert not out.weights[12:].any()
    grads = random_grads(out, generator)
    mine = gradients(composite, padded, DIFFERENTIABLE, grads)
    expected = gradients(composite, packed, DIFFERENTIABLE, [*grads[:3], grads[3][:12]])
    for a, b in zip(mine, expected, strict=True):
        torch.testing.assert_close(a[:12], b, rtol=0, atol=0)
        assert (a[12:] == 0).all()


def test_padding_is_cleared_when_memory_is_reused(generator):
    packed = random_packed(generator, [5, 0, 7])
    pad = lambda value: torch.cat([value, torch.ones(2000, *value.shape[1:])])  # noqa: E731
    padded = Packed(*(pad(value) for value in packed[:4]), packed.packed_info)
    for _ in range(10):
        memory = [torch.full((2012 * size,), 7.0) for size in (1, 1, 1, 3, 3)]
        del memory
        out = composite(*padded)
        assert not out.weights[12:].any()
        grads = random_grads(out, generator)
        memory = [torch.full((2012 * size,), 7.0) for size in (1, 1, 1, 3, 3)]
        del memory
        sigma_grad, rgb_grad = gradients(composite, padded, DIFFERENTIABLE, grads)
        assert not sigma_grad[12:].any()
        assert not rgb_grad[12:].any()


# --- Invariances -----------------------------------------------------------------------------------------------------


@given(packed_samples())
def test_splitting_an_interval_changes_nothing(packed):
    """At constant sigma and colour, two halves absorb what the whole does."""
    twice = lambda value: value.repeat_interleave(2, dim=0)  # noqa: E731
    t_starts, t_ends = twice(packed.t_starts), twice(packed.t_ends)
    middles = (packed.t_starts + packed.t_ends) / 2
    t_starts[1::2], t_ends[0::2] = middles, middles
    halves = Packed(twice(packed.sigmas), twice(packed.rgbs), t_starts, t_ends, packed.packed_info * 2)
    whole, split = composite(*packed), composite(*halves)
    # A half of an interval far from 0 is as inexact as t itself.
    for name in ("rgb", "accumulation"):
        torch.testing.assert_close(getattr(split, name), getattr(whole, name), rtol=1e-4, atol=1e-6)


def test_weights_add_up_to_the_light_that_is_stopped(generator):
    packed = random_packed(generator, [30] * 50)
    tau = (packed.sigmas * (packed.t_ends - packed.t_starts)).double().reshape(50, 30).sum(-1)
    torch.testing.assert_close(composite(*packed).accumulation.double(), -torch.expm1(-tau), rtol=RTOL, atol=0)


def test_permuting_rays_permutes_the_results(generator):
    packed = random_packed(generator, [5, 0, 12, 7, 1])
    order = torch.randperm(5, generator=generator)
    mine, permuted = composite(*packed), composite(*packed._replace(packed_info=packed.packed_info[order]))
    for name in ("rgb", "accumulation", "depth", "median_depth"):
        torch.testing.assert_close(getattr(permuted, name), getattr(mine, name)[order], rtol=0, atol=0)
    torch.testing.assert_close(permuted.weights, mine.weights, rtol=0, atol=0)


def test_scaling_t_and_sigma_scales_depth_only(generator):
    packed = random_packed(generator, [5, 0, 12])
    mine = composite(*packed)
    scaled = composite(packed.sigmas / 4, packed.rgbs, packed.t_starts * 4, packed.t_ends * 4, packed.packed_info)
    for name in ("rgb", "accumulation", "weights"):
        torch.testing.assert_close(getattr(scaled, name), getattr(mine, name), rtol=0, atol=0)
    for name in ("depth", "median_depth"):
        torch.testing.assert_close(getattr(scaled, name), getattr(mine, name) * 4, rtol=1e-6, atol=0)


# --- Determinism, memory layout, autograd ----------------------------------------------------------------------------


def test_many_rays_composite_like_few(generator):
    """However a launch is split over threads, forward and backward of a ray are its own."""
    packed = random_packed(generator, [20] * 5000)
    out = composite(*packed)
    grads = random_grads(out, generator)
    mine = gradients(composite, packed, DIFFERENTIABLE, grads)
    again = gradients(composite, packed, DIFFERENTIABLE, grads)
    for first in (0, 2495, 4995):
        rays, samples = slice(first, first + 5), slice(20 * first, 20 * first + 100)
        few = Packed(*(value[samples] for value in packed[:4]), pack([20] * 5))
        torch.testing.assert_close(composite(*few).rgb, out.rgb[rays], rtol=0, atol=0)
        alone = gradients(composite, few, DIFFERENTIABLE, [*(grad[rays] for grad in grads[:3]), grads[3][samples]])
        for a, b, c in zip(mine, again, alone, strict=True):
            assert torch.equal(a, b)
            assert torch.equal(a[samples], c)


def test_tensors_that_are_not_contiguous(generator):
    packed = random_packed(generator, [5, 0, 12])
    strided = Packed(*(torch.stack([value, value + 1], dim=1)[:, 0] for value in packed))
    strided = strided._replace(rgbs=packed.rgbs.T.contiguous().T)
    assert not any(value.is_contiguous() for value in strided)
    for a, b in zip(composite(*packed), composite(*strided), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_gradients_that_are_not_contiguous(generator):
    """``sum`` hands an expanded gradient to backward, a transposed loss a transposed one."""
    packed = random_packed(generator, [5, 0, 12])
    names, n_rays = ["rgb", "weights", "accumulation", "depth"], 3
    expanded = [torch.ones(1, 1).expand(n_rays, 3), *(torch.ones(1).expand(n) for n in (17, n_rays, n_rays))]
    transposed = [torch.rand(3, n_rays, generator=generator).T, *expanded[1:]]
    for grads in (expanded, transposed):
        mine = gradients(composite, packed, names, grads)
        contiguous = gradients(composite, packed, names, [grad.contiguous() for grad in grads])
        for a, b in zip(mine, contiguous, strict=True):
            assert torch.equal(a, b)


def test_only_the_differentiable_outputs_require_grad(generator):
    packed = random_packed(generator, [5, 3])
    out = composite(packed.sigmas.requires_grad_(), packed.rgbs.requires_grad_(), *packed[2:])
    for name in DIFFERENTIABLE:
        assert getattr(out, name).requires_grad, name
    assert not out.median_depth.requires_grad
    with torch.no_grad():
        assert not composite(*packed).rgb.requires_grad


def test_inputs_are_left_alone(generator):
    packed = random_packed(generator, [5, 3])
    before = [value.clone() for value in packed]
    gradients(composite, packed, DIFFERENTIABLE, random_grads(composite(*packed), generator))
    assert all(torch.equal(a, b) for a, b in zip(packed, before, strict=True))


def test_backward_twice_gives_the_same(generator):
    packed = random_packed(generator, [5, 3])
    sigmas = packed.sigmas.requires_grad_()
    loss = composite(*packed).rgb.square().sum()
    (first,) = torch.autograd.grad(loss, sigmas, retain_graph=True)
    (second,) = torch.autograd.grad(loss, sigmas)
    assert torch.equal(first, second)


# --- Background ------------------------------------------------------------------------------------------------------


def test_background_by_hand():
    rgb, accumulation = torch.tensor([[0.2, 0.1, 0.0], [0.0, 0.0, 0.0]]), torch.tensor([0.5, 0.0])
    white = blend_background(rgb, accumulation, torch.ones(3))
    torch.testing.assert_close(white, torch.tensor([[0.7, 0.6, 0.5], [1.0, 1.0, 1.0]]))
    each = blend_background(rgb, accumulation, torch.tensor([[1.0, 0.0, 0.5], [0.1, 0.2, 0.3]]))
    torch.testing.assert_close(each, torch.tensor([[0.7, 0.1, 0.25], [0.1, 0.2, 0.3]]))


def test_background_of_no_rays():
    assert blend_background(torch.zeros(0, 3), torch.zeros(0), torch.ones(3)).shape == (0, 3)
    assert blend_background(torch.zeros(0, 3), torch.zeros(0), torch.ones(0, 3)).shape == (0, 3)


def test_background_of_three_rays_is_not_confused():
    """With three rays, (3,) is a colour, not one value per ray."""
    out = blend_background(torch.zeros(3, 3), torch.zeros(3), torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(out, torch.tensor([[0.1, 0.2, 0.3]]).repeat(3, 1))


def test_background_gradients_by_hand():
    rgb, accumulation = torch.zeros(2, 3, requires_grad=True), torch.tensor([0.25, 1.0], requires_grad=True)
    background = torch.tensor([0.1, 0.2, 0.3], requires_grad=True)
    blend_background(rgb, accumulation, background).sum().backward()
    torch.testing.assert_close(rgb.grad, torch.ones(2, 3))
    torch.testing.assert_close(accumulation.grad, torch.full((2,), -0.6))
    torch.testing.assert_close(background.grad, torch.full((3,), 0.75))


# --- Bad input -------------------------------------------------------------------------------------------------------


def arguments() -> dict:
    return unit_intervals([LN2, LN2, LN2])._asdict()


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("sigmas", torch.float64),
        ("rgbs", torch.float16),
        ("t_starts", torch.int32),
        ("t_ends", torch.float64),
        ("packed_info", torch.int64),
        ("packed_info", torch.float32),
    ],
)
def test_wrong_dtype(name, dtype):
    with pytest.raises(TypeError, match=rf"(?s){name}.*{str(dtype).removeprefix('torch.')}"):
        composite(**{**arguments(), name: arguments()[name].to(dtype)})


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("sigmas", (3, 1)),
        ("rgbs", (3, 4)),
        ("rgbs", (2, 3)),
        ("rgbs", (9,)),
        ("t_starts", (4,)),
        ("t_ends", (2,)),
        ("t_ends", (1, 3)),
        ("packed_info", (2,)),
        ("packed_info", (1, 3)),
    ],
)
def test_wrong_shape(name, shape):
    bad = torch.zeros(shape, dtype=arguments()[name].dtype)
    with pytest.raises(ValueError, match=name) as error:
        composite(**{**arguments(), name: bad})
    assert str(list(shape))[1:-1] in str(error.value), "the message shows the shape"


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(("value", "seen"), [(-0.1, "-0.1"), (math.nan, "nan")])
def test_wrong_early_stop(value, seen):
    with pytest.raises(ValueError, match=rf"(?s)early_stop_eps.*{seen}"):
        composite(**arguments(), early_stop_eps=value)


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize("name", ["rgbs", "t_starts", "t_ends", "packed_info"])
def test_wrong_device(name):
    with pytest.raises(ValueError, match=rf"(?s){name}.*meta"):
        composite(**{**arguments(), name: arguments()[name].to("meta")})


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("name", "bad", "error"),
    [
        ("rgb", torch.zeros(2, 4), ValueError),
        ("accumulation", torch.zeros(3), ValueError),
        ("accumulation", torch.zeros(2, 1), ValueError),
        ("background", torch.zeros(2), ValueError),
        ("background", torch.zeros(1, 3, 3), ValueError),
        ("background", torch.zeros(4, 3), ValueError),
        ("background", torch.zeros(3, dtype=torch.int32), TypeError),
    ],
)
def test_wrong_background(name, bad, error):
    good = {"rgb": torch.zeros(2, 3), "accumulation": torch.zeros(2), "background": torch.zeros(3)}
    with pytest.raises(error, match=name):
        blend_background(**{**good, name: bad})
