import math

import pytest
import torch

from nerf_plugins.ops import sdf_densities, sdf_optical_depths


def papers_alpha(sdf, slopes, widths, inv_s):
    """NeuS, equation 13, with the linear ends of its code."""
    fall = slopes.clamp(max=0.0) * widths * 0.5
    before, after = torch.sigmoid(inv_s * (sdf - fall)), torch.sigmoid(inv_s * (sdf + fall))
    return ((before - after) / before).clamp(min=0.0)


@pytest.mark.parametrize("inv_s", [1.0, 20.0, 300.0])
def test_opacity_is_the_papers(inv_s: float, generator: torch.Generator):
    sdf = (torch.rand(500, generator=generator) - 0.5) * 8 / inv_s
    slopes = torch.rand(500, generator=generator) * 2 - 1.5
    widths = torch.rand(500, generator=generator) * 0.1
    depths = sdf_optical_depths(sdf, slopes, widths, torch.tensor(inv_s))
    expected = papers_alpha(sdf.double(), slopes.double(), widths.double(), inv_s)
    torch.testing.assert_close(1 - torch.exp(-depths.double()), expected, atol=2e-5, rtol=1e-4)


def test_by_hand():
    # From f = 0.5 to f = -0.5 with s = 2: Φ(1) = 0.7311, Φ(-1) = 0.2689.
    depth = sdf_optical_depths(torch.zeros(1), -torch.ones(1), torch.ones(1), torch.tensor(2.0))
    assert float(depth) == pytest.approx(math.log(0.7310586 / 0.2689414), rel=1e-5)


def test_a_ray_that_leaves_the_surface_sees_nothing():
    depths = sdf_optical_depths(torch.tensor([-0.1, 0.0, 0.1]), torch.ones(3), torch.ones(3), torch.tensor(64.0))
    assert depths.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("sdf", [-1e3, -1.0, 0.0, 1.0, 1e3])
def test_extremes_stay_finite(sdf: float):
    x, s = torch.tensor([sdf], requires_grad=True), torch.tensor(1e6, requires_grad=True)
    depth = sdf_optical_depths(x, torch.tensor([-1.0]), torch.tensor([0.01]), s)
    depth.sum().backward()
    for value in (depth, x.grad, s.grad):
        assert value is not None
        assert bool(value.isfinite().all())


@pytest.mark.parametrize("inv_s", [1e-6, 1.0, 1e6])
def test_extremes_of_everything_at_once(inv_s: float):
    sizes = torch.tensor([0.0, 1e-30, 1e-7, 1e-3, 1.0, 1e3, 1e10])
    both = torch.cat([-sizes, sizes])
    grid = torch.meshgrid(both, both.clamp(-1e3, 1e3), sizes, indexing="ij")
    sections = [value.reshape(-1).clone().requires_grad_() for value in grid]
    sharpness = torch.tensor(inv_s, requires_grad=True)
    depths = sdf_optical_depths(*sections, sharpness)
    assert depths.isfinite().all()
    assert (depths >= 0).all()
    (1 - torch.exp(-depths)).sum().backward()
    for value in [*sections, sharpness]:
        assert value.grad is not None
        assert value.grad.isfinite().all()


def test_a_section_through_a_sharp_surface_is_opaque_and_one_in_front_is_transparent():
    sdf, slopes, widths = torch.tensor([0.1, 0.0, -0.1]), -torch.ones(3), torch.full((3,), 0.1)
    depths = sdf_optical_depths(sdf, slopes, widths, torch.tensor(1e4))
    assert depths[0] < 1e-6
    assert (depths[1:] > 100).all()


def test_two_halves_let_through_what_the_whole_does():
    whole = sdf_optical_depths(torch.tensor([0.01]), torch.tensor([-0.8]), torch.tensor([0.2]), torch.tensor(50.0))
    middles, slopes, widths = torch.tensor([0.05, -0.03]), torch.full((2,), -0.8), torch.full((2,), 0.1)
    assert float(sdf_optical_depths(middles, slopes, widths, torch.tensor(50.0)).sum()) == pytest.approx(float(whole))


def annealed(slopes, progress):
    """The slope that counts, by the code of NeuS: what the paper calls cos is -slope."""
    return -(torch.relu(0.5 - 0.5 * slopes) * (1 - progress) + torch.relu(-slopes) * progress)


@pytest.mark.parametrize(
    ("slope", "progress", "counts"),
    [
        (-1.0, 0.0, -1.0),
        (0.0, 0.0, -0.5),
        (1.0, 0.0, 0.0),
        (-1.0, 0.5, -1.0),
        (0.0, 0.5, -0.25),
        (-0.5, 0.25, -0.6875),
        (0.5, 0.25, -0.1875),
    ],
)
def test_annealing_by_hand(slope: float, progress: float, counts: float):
    assert float(annealed(torch.tensor(slope), progress)) == counts
    # From -m to m with s = 1 and a width of 2: the depth is -m, as ln Φ(x) - ln Φ(-x) = x.
    depth = sdf_optical_depths(
        torch.zeros(1), torch.tensor([slope]), torch.full((1,), 2.0), torch.tensor(1.0), progress
    )
    assert float(depth) == pytest.approx(-counts, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_gradients_are_those_of_autograd_in_double(progress: float):
    values = torch.rand(3, 400, generator=torch.Generator().manual_seed(1))
    arguments = [values[0] * 0.2 - 0.1, values[1] * 3 - 1.5, values[2] * 0.2, torch.tensor(30.0)]
    single = [x.clone().requires_grad_() for x in arguments]
    weights = torch.linspace(-1, 1, 400)
    (weights * sdf_optical_depths(*single, progress=progress)).sum().backward()
    double = [x.double().requires_grad_() for x in arguments]
    depths = -torch.log1p(-papers_alpha(double[0], annealed(double[1], progress), *double[2:]))
    (weights * depths).sum().backward()
    for a, b in zip(single, double):
        assert a.grad is not None
        assert b.grad is not None
        torch.testing.assert_close(a.grad.double(), b.grad, atol=1e-5, rtol=1e-4)


def test_what_faces_away_learns_only_in_the_beginning():
    for progress, expected in ((0.0, 0.5), (1.0, 0.0)):
        slopes = torch.tensor([0.5], requires_grad=True)
        # From -m to m with s = 1 and a width of 2: the depth is -m.
        sdf_optical_depths(torch.zeros(1), slopes, torch.full((1,), 2.0), torch.tensor(1.0), progress).sum().backward()
        assert slopes.grad is not None
        assert slopes.grad.item() == -expected


@pytest.mark.parametrize(("f", "width", "inv_s"), [(10.0, 0.01, 2.0), (2.0, 0.07, 1.0)])
def test_small_depths_keep_their_digits(f: float, width: float, inv_s: float):
    # Outside: Φ is nearly the same at both ends.
    depth = sdf_optical_depths(torch.tensor([f]), -torch.ones(1), torch.tensor([width]), torch.tensor(inv_s))
    expected = math.log1p(math.exp(-inv_s * (f - width / 2))) - math.log1p(math.exp(-inv_s * (f + width / 2)))
    assert float(depth) == pytest.approx(expected, rel=2e-5)


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slopes": torch.zeros(2)}, r"slopes must have shape \(3\), got \(2,\)"),
        ({"sdf": torch.zeros(3, 1)}, r"sdf must have shape \(n\), got \(3, 1\)"),
        ({"widths": torch.zeros(4)}, r"widths must have shape \(3\), got \(4,\)"),
        ({"inv_s": torch.ones(1)}, r"inv_s must have shape \(\), got \(1,\)"),
        ({"inv_s": 20.0}, "inv_s must be a tensor, got float 20.0"),
        ({"sdf": torch.zeros(3).double()}, "sdf must be torch.float32, got torch.float64"),
        ({"widths": torch.zeros(3).half()}, "widths must be torch.float32, got torch.float16"),
        ({"inv_s": torch.tensor(1.0, device="meta")}, "inv_s is on meta, but sdf is on cpu"),
        ({"progress": 1.5}, r"progress must be in \[0, 1\], got 1.5"),
    ],
)
def test_bad_input_is_named(change: dict, message: str):
    good = {"sdf": torch.zeros(3), "slopes": torch.zeros(3), "widths": torch.zeros(3), "inv_s": torch.tensor(1.0)}
    with pytest.raises((TypeError, ValueError), match=message):
        sdf_optical_depths(**good | change)


# --- Densities -------------------------------------------------------------------------------------------------------


def made_samples(n: int = 400, n_rays: int = 30) -> list[torch.Tensor]:
    """Distances, gradients, directions and sharpness; indices of rays, starts and ends. The last samples are padding."""
    generator = torch.Generator().manual_seed(2)
    values = torch.rand(3, n, generator=generator)
    gradients = 1.2 * torch.randn(n, 3, generator=generator)
    directions = torch.nn.functional.normalize(torch.randn(n_rays, 3, generator=generator), dim=-1)
    indices = torch.randint(n_rays, (n,), generator=generator, dtype=torch.int32)
    starts, widths = values[1], 0.2 * values[2]
    widths[-10:] = 0.0
    return [values[0] * 0.2 - 0.1, gradients, directions, torch.tensor(30.0), indices, starts, starts + widths]


def densities_by_torch(sdf, gradients, directions, inv_s, indices, starts, ends, progress):
    slopes, widths = (gradients * directions[indices.long()]).sum(-1), (ends - starts).double()
    depths = -torch.log1p(-papers_alpha(sdf, annealed(slopes, progress), widths, inv_s))
    return depths / widths.clamp(min=1e-10)


def call_densities(sdf, gradients, directions, inv_s, *places, progress):
    return sdf_densities(sdf, gradients, directions, *places, inv_s, progress)


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_densities_and_their_gradients_are_those_of_autograd_in_double(progress: float):
    *learnt, indices, starts, ends = made_samples()
    weights = torch.linspace(-1, 1, len(indices))
    weights[-10:] = 0.0  # padding gets no gradient from the compositing
    single, double = (
        [x.detach().to(dtype).requires_grad_() for x in learnt] for dtype in (torch.float32, torch.float64)
    )
    sigmas = call_densities(*single, indices, starts, ends, progress=progress)
    expected = densities_by_torch(*double, indices, starts, ends, progress)
    torch.testing.assert_close(sigmas.double(), expected, rtol=1e-3, atol=1e-3)
    assert not sigmas[-10:].any()
    (weights * sigmas).sum().backward()
    (weights * expected).sum().backward()
    for a, b in zip(single, double):
        assert a.grad is not None
        assert b.grad is not None
        torch.testing.assert_close(a.grad.double(), b.grad, rtol=2e-3, atol=2e-3)


def test_densities_by_hand():
    # Head on, over a length of 1 with s = 2: ln Φ(1) - ln Φ(-1) = 1. At right angles to the gradient nothing falls.
    gradients, directions = torch.tensor([[0.0, -1.0, 0.0]] * 2), torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    indices, starts = torch.tensor([0, 1], dtype=torch.int32), torch.tensor([2.0, 2.0])
    sigmas = sdf_densities(torch.zeros(2), gradients, directions, indices, starts, starts + 1, torch.tensor(2.0))
    assert sigmas.tolist() == [pytest.approx(1.0, rel=1e-5), 0.0]


def test_directions_that_learn_nothing_get_no_gradient():
    sdf, gradients, directions, inv_s, *places = made_samples()
    sdf_densities(sdf.requires_grad_(), gradients, directions, *places, inv_s).sum().backward()
    assert directions.grad is None
    assert sdf.grad is not None


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gradients": torch.zeros(2, 3)}, r"gradients must have shape \(3, 3\), got \(2, 3\)"),
        ({"ray_indices": torch.zeros(3).long()}, r"ray_indices must be torch\.int32, got torch\.int64"),
        ({"t_ends": torch.zeros(4)}, r"t_ends must have shape \(3\), got \(4,\)"),
        ({"directions": torch.zeros(3)}, r"directions must have shape \(n, 3\), got \(3,\)"),
        ({"inv_s": torch.tensor(1.0, device="meta")}, "inv_s is on meta, but sdf is on cpu"),
        ({"progress": -0.5}, r"progress must be in \[0, 1\], got -0.5"),
    ],
)
def test_bad_input_of_densities_is_named(change: dict, message: str):
    good = {"sdf": torch.zeros(3), "gradients": torch.zeros(3, 3), "directions": torch.zeros(2, 3)}
    places = {"ray_indices": torch.zeros(3).int(), "t_starts": torch.zeros(3), "t_ends": torch.ones(3)}
    with pytest.raises((TypeError, ValueError), match=message):
        sdf_densities(**good | places | {"inv_s": torch.tensor(1.0)} | change)
