"""Sampling a pdf: cases by hand, the reference, statistics, and bad input."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nerf_plugins.ops import sample_pdf

from . import reference
from .cases import pack
from .strategies import packed_samples

CDF_TOLERANCE = 1e-5


def two_intervals() -> dict:
    """[0, 1] and [2, 4] with the probabilities 1/4 and 3/4."""
    return {
        "t_starts": torch.tensor([0.0, 2.0]),
        "t_ends": torch.tensor([1.0, 4.0]),
        "weights": torch.tensor([1.0, 3.0]) - reference.PDF_PADDING,
        "packed_info": pack([2]),
    }


def assert_inverts_the_cdf(t, t_starts, t_ends, weights, packed_info, u) -> None:
    """Each t lies in an interval of its ray, where the cdf is u."""
    for ray, (start, count) in enumerate(packed_info.tolist()):
        if count == 0:
            assert not t[ray].any()
            continue
        mine = slice(start, start + count)
        low, high = t_starts[mine].double(), t_ends[mine].double()
        slack = 1e-6 * (1 + high.max())
        values = t[ray].double()[:, None]
        assert ((values >= low - slack) & (values <= high + slack)).any(dim=1).all(), f"ray {ray}: {t[ray]} in a gap"
        probability, _ = reference.pdf_edges(weights[mine])
        # Rounding t moves the cdf by the density there.
        rounding = (probability / (high - low)).max() * 2**-22 * high.max()
        error = (reference.cdf_at(t[ray], low, high, weights[mine]) - u[ray].double()).abs()
        assert (error <= CDF_TOLERANCE + rounding).all(), f"ray {ray}: cdf off by {error.max()}"


# --- By hand ---------------------------------------------------------------------------------------------------------


def test_by_hand():
    u = torch.tensor([[0.0, 0.125, 0.625, 0.9375]])
    t = sample_pdf(**two_intervals(), u=u)
    torch.testing.assert_close(t, torch.tensor([[0.0, 0.5, 3.0, 2 + 2 * 0.6875 / 0.75]]), rtol=1e-5, atol=1e-6)
    assert t.dtype == torch.float32


def test_results_are_in_the_order_of_u():
    u = torch.tensor([[0.625, 0.0, 0.9375, 0.125, 0.625]])
    t = sample_pdf(**two_intervals(), u=u)
    torch.testing.assert_close(t, torch.tensor([[3.0, 0.0, 2 + 2 * 0.6875 / 0.75, 0.5, 3.0]]), rtol=1e-5, atol=1e-6)


def test_without_weight_each_interval_is_as_likely():
    t = sample_pdf(
        torch.tensor([0.0, 1.0]), torch.tensor([1.0, 4.0]), torch.zeros(2), pack([2]), torch.tensor([[0.25, 0.75]])
    )
    torch.testing.assert_close(t, torch.tensor([[0.5, 2.5]]))


def test_the_padding_keeps_every_interval_possible():
    # Probabilities (1 + 1e-5) and 1e-5 of 1 + 2e-5: u = 1 - 5e-6 is in the middle of the second interval.
    weights = torch.tensor([9e-5, 0.0])  # 1e-4 and 1e-5: the second interval begins at 10/11
    t = sample_pdf(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]), weights, pack([2]), torch.tensor([[21 / 22]]))
    torch.testing.assert_close(t, torch.tensor([[1.5]]), rtol=1e-4, atol=0)


def test_each_ray_has_its_own_pdf():
    t_starts, t_ends = torch.tensor([0.0, 5.0, 0.0]), torch.tensor([1.0, 6.0, 2.0])
    u = torch.tensor([[0.5, 0.25], [0.5, 0.25], [0.5, 0.25]])
    packed_info = torch.tensor([[0, 1], [1, 0], [1, 2]], dtype=torch.int32)
    t = sample_pdf(t_starts, t_ends, torch.tensor([7.0, 1.0, 1.0]), packed_info, u)
    # The third ray's intervals are [5, 6] and [0, 2] in the order given; 1/2 is at their border.
    torch.testing.assert_close(t[0], torch.tensor([0.5, 0.25]))
    assert t[1].tolist() == [0.0, 0.0]
    assert t[2, 1].item() == pytest.approx(5.5)


# --- Against the reference -------------------------------------------------------------------------------------------


@given(packed_samples(), st.integers(0, 2**16), st.integers(0, 40), st.sampled_from([1e-6, 1e-3, 1.0, 1e4]))
def test_inverts_the_cdf(packed, seed, n_new, scale):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(len(packed.sigmas), generator=generator) ** 4 * scale
    weights[torch.rand(len(weights), generator=generator) < 0.2] = 0.0
    u = torch.rand(len(packed.packed_info), n_new, generator=generator)
    arguments = (packed.t_starts, packed.t_ends, weights, packed.packed_info, u)
    t = sample_pdf(*arguments)
    assert t.shape == u.shape
    assert_inverts_the_cdf(t, *arguments)


def even_problem(generator, counts, n_new):
    """Intervals of equal length with weights of the same order: well conditioned."""
    t_starts = torch.cat([torch.arange(count, dtype=torch.float32) / 8 for count in counts])
    weights = torch.rand(sum(counts), generator=generator) + 0.1
    return t_starts, t_starts + 0.125, weights, pack(counts), torch.rand(len(counts), n_new, generator=generator)


def test_many_rays_match_the_reference(generator):
    arguments = even_problem(generator, torch.randint(0, 60, (100,), generator=generator).tolist(), 30)
    torch.testing.assert_close(sample_pdf(*arguments).double(), reference.sample_pdf(*arguments), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("n_new", [1, 2, 3, 4, 5])
def test_any_number_of_new_samples_matches_the_reference(generator, n_new):
    """Small sizes may be taken for vectors: (n, 2) and (n, 3) are no exception."""
    arguments = even_problem(generator, [8, 0, 3, 2, 1], n_new)
    torch.testing.assert_close(sample_pdf(*arguments).double(), reference.sample_pdf(*arguments), rtol=1e-5, atol=2e-5)


def test_a_ray_with_many_samples_matches_the_reference(generator):
    arguments = even_problem(generator, [2000, 1, 3], 200)
    assert_inverts_the_cdf(sample_pdf(*arguments), *arguments)


@pytest.mark.parametrize("last", [1.0 - 2**-24, 0.0])
def test_ends_of_the_range_stay_in_the_intervals(generator, last):
    packed = even_problem(generator, [700, 3, 1], 1)
    u = torch.full((3, 1), last)
    t = sample_pdf(*packed[:4], u)
    ends = torch.tensor([[700 / 8], [3 / 8], [1 / 8]]) if last else torch.zeros(3, 1)
    torch.testing.assert_close(t, ends, rtol=1e-3, atol=0)
    assert (t <= torch.tensor([[700 / 8], [3 / 8], [1 / 8]])).all()


def test_larger_u_gives_larger_t(generator):
    packed = even_problem(generator, [50, 1, 300], 500)
    u = packed[4].sort(dim=-1).values
    t = sample_pdf(*packed[:4], u)
    assert (t.diff(dim=-1) >= 0).all()


# --- Statistics ------------------------------------------------------------------------------------------------------


def test_histogram_follows_the_weights(generator):
    n_new = 40_000
    weights = torch.tensor([0.1, 0.0, 0.4, 0.2, 0.3])
    t_starts = torch.tensor([0.0, 1.0, 1.5, 4.0, 10.0])
    t_ends = torch.tensor([1.0, 1.5, 3.0, 4.1, 20.0])
    t = sample_pdf(t_starts, t_ends, weights, pack([5]), torch.rand(1, n_new, generator=generator))[0]
    inside = (t[:, None] >= t_starts) & (t[:, None] <= t_ends)
    share = inside.float().mean(0)
    sigma = (weights * (1 - weights) / n_new).sqrt()
    assert ((share - weights).abs() <= 4 * sigma + 5e-5).all()
    # Uniform inside an interval: mean and spread of the last one.
    last = (t[inside[:, 4]] - 10) / 10
    assert last.mean().item() == pytest.approx(0.5, abs=4 * (1 / 12 / len(last)) ** 0.5)
    assert last.var().item() == pytest.approx(1 / 12, rel=0.05)


def test_stratified_u_resamples_evenly():
    """With n equal intervals and n stratified u, every interval receives one."""
    n = 64
    t_starts = torch.arange(n, dtype=torch.float32)
    u = ((torch.arange(n) + 0.5) / n)[None]
    t = sample_pdf(t_starts, t_starts + 1, torch.ones(n), pack([n]), u)
    torch.testing.assert_close(t[0], t_starts + 0.5, rtol=1e-4, atol=1e-4)


# --- Nothing to do ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_rays", "n_samples", "n_new"), [(0, 0, 4), (3, 0, 4), (3, 5, 0), (3, 5, 4), (0, 5, 4)])
def test_rays_without_samples(n_rays, n_samples, n_new):
    t_starts = torch.arange(n_samples, dtype=torch.float32)
    packed_info = torch.zeros(n_rays, 2, dtype=torch.int32)
    t = sample_pdf(t_starts, t_starts + 1, torch.ones(n_samples), packed_info, torch.full((n_rays, n_new), 0.5))
    assert t.shape == (n_rays, n_new)
    assert not t.any()


# --- Invariances, determinism, memory layout -------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.5, 8.0])
def test_scaling_t_scales_the_result(generator, scale):
    t_starts, t_ends, *rest = even_problem(generator, [20, 0, 5], 16)
    expected = sample_pdf(t_starts, t_ends, *rest) * scale
    assert torch.equal(sample_pdf(t_starts * scale, t_ends * scale, *rest), expected)


def test_permuting_rays_permutes_the_result(generator):
    t_starts, t_ends, weights, packed_info, u = even_problem(generator, [20, 0, 5, 40], 16)
    order = torch.randperm(4, generator=generator)
    expected = sample_pdf(t_starts, t_ends, weights, packed_info, u)[order]
    assert torch.equal(sample_pdf(t_starts, t_ends, weights, packed_info[order], u[order]), expected)


def test_many_rays_sample_like_few(generator):
    t_starts, t_ends, weights, packed_info, u = even_problem(generator, [8] * 5000, 6)
    together = sample_pdf(t_starts, t_ends, weights, packed_info, u)
    assert torch.equal(together, sample_pdf(t_starts, t_ends, weights, packed_info, u))
    for some in (slice(0, 5), slice(2497, 2503), slice(4999, 5000)):
        assert torch.equal(sample_pdf(t_starts, t_ends, weights, packed_info[some], u[some]), together[some])


def test_tensors_that_are_not_contiguous(generator):
    arguments = even_problem(generator, [8, 3], 6)
    strided = [torch.stack([value, value + 1], dim=1)[:, 0] for value in arguments]
    strided[4] = arguments[4].T.contiguous().T
    assert not any(value.is_contiguous() for value in strided)
    assert torch.equal(sample_pdf(*strided), sample_pdf(*arguments))


def test_is_not_differentiable(generator):
    t_starts, t_ends, weights, packed_info, u = even_problem(generator, [8, 3], 6)
    assert not sample_pdf(t_starts, t_ends, weights.requires_grad_(), packed_info, u).requires_grad


# --- Bad input -------------------------------------------------------------------------------------------------------


def arguments() -> dict:
    return {**two_intervals(), "u": torch.full((1, 4), 0.5)}


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("t_starts", torch.float64),
        ("t_ends", torch.int32),
        ("weights", torch.float16),
        ("packed_info", torch.int64),
        ("u", torch.float64),
    ],
)
def test_wrong_dtype(name, dtype):
    with pytest.raises(TypeError, match=rf"(?s)\b{name}\b.*{str(dtype).removeprefix('torch.')}"):
        sample_pdf(**{**arguments(), name: arguments()[name].to(dtype)})


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("t_starts", (2, 1)),
        ("t_ends", (3,)),
        ("weights", (1,)),
        ("packed_info", (2,)),
        ("packed_info", (1, 3)),
        ("u", (4,)),
        ("u", (2, 4)),
    ],
)
def test_wrong_shape(name, shape):
    bad = torch.zeros(shape, dtype=arguments()[name].dtype)
    with pytest.raises(ValueError, match=rf"\b{name}\b") as error:
        sample_pdf(**{**arguments(), name: bad})
    assert str(list(shape))[1:-1] in str(error.value), "the message shows the shape"


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize("name", ["t_ends", "weights", "packed_info", "u"])
def test_wrong_device(name):
    with pytest.raises(ValueError, match=rf"(?s)\b{name}\b.*meta"):
        sample_pdf(**{**arguments(), name: arguments()[name].to("meta")})
