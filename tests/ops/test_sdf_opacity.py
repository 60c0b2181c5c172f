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


def test_annealing_by_hand():
    slopes = torch.tensor([-1.0, 0.0, 1.0])
    assert anneal_slopes(slopes, 1.0).tolist() == [-1.0, 0.0, 0.0]
    assert anneal_slopes(slopes, 0.0).tolist() == [-1.0, -0.5, 0.0]
    assert anneal_slopes(slopes, 0.5).tolist() == [-1.0, -0.25, 0.0]


@pytest.mark.usefixtures("without_type_checker")
def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"slopes must have shape \(3\), got \(2,\)"):
        sdf_optical_depths(torch.zeros(3), torch.zeros(2), torch.zeros(3), torch.tensor(1.0))
    with pytest.raises(TypeError, match="inv_s must be a tensor"):
        sdf_optical_depths(torch.zeros(3), torch.zeros(3), torch.zeros(3), 20.0)  # type: ignore[arg-type]
