import math

import pytest
import torch

from nerf_plugins.ops import sdf_optical_depths


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
