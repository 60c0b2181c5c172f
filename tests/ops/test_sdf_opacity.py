import math

import pytest
import torch

from nerf_plugins.ops import anneal_slopes, sdf_optical_depths


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


def test_gradients_are_those_of_autograd_in_double():
    values = torch.rand(3, 40, generator=torch.Generator().manual_seed(1)) * 0.2 - 0.15
    arguments = [values[0], values[1], values[2].abs(), torch.tensor(30.0)]
    single = [x.clone().requires_grad_() for x in arguments]
    sdf_optical_depths(*single).sum().backward()
    double = [x.double().requires_grad_() for x in arguments]
    (-torch.log1p(-papers_alpha(*double))).sum().backward()
    for a, b in zip(single, double):
        assert a.grad is not None
        assert b.grad is not None
        torch.testing.assert_close(a.grad.double(), b.grad, atol=1e-3, rtol=1e-3)


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


def test_annealing_by_hand():
    slopes = torch.tensor([-1.0, 0.0, 1.0])
    assert anneal_slopes(slopes, 1.0).tolist() == [-1.0, 0.0, 0.0]
    assert anneal_slopes(slopes, 0.0).tolist() == [-1.0, -0.5, 0.0]
    assert anneal_slopes(slopes, 0.5).tolist() == [-1.0, -0.25, 0.0]
    assert anneal_slopes(torch.tensor([-0.5, 0.5]), 0.25).tolist() == [-(0.75 * 0.75 + 0.5 * 0.25), -0.25 * 0.75]


def test_annealing_gives_gradients_to_what_faces_away():
    for progress, expected in ((0.0, 0.5), (1.0, 0.0)):
        slopes = torch.tensor([0.5], requires_grad=True)
        anneal_slopes(slopes, progress).sum().backward()
        assert slopes.grad is not None
        assert slopes.grad.item() == expected


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
    ],
)
def test_bad_input_is_named(change: dict, message: str):
    good = {"sdf": torch.zeros(3), "slopes": torch.zeros(3), "widths": torch.zeros(3), "inv_s": torch.tensor(1.0)}
    with pytest.raises((TypeError, ValueError), match=message):
        sdf_optical_depths(**good | change)
