"""The parts of rays that are in a box: by hand, beside torch, and bad input."""

import pytest
import torch

from nerf_plugins.ops import clip_rays

BOX = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 3.0]])


def test_by_hand():
    # From the left; from the inside along z; away from the box; past it; through it at a slant, from x = -1 to y = 1.
    origins = torch.tensor([[-3.0, 0.0, 0.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [-3.0, 2.0, 0.0], [-3.0, -1.5, 0.0]])
    directions = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.5, 0.0]])
    nears, fars = clip_rays(origins, directions, torch.full((5,), 0.25), torch.full((5,), 3.5), BOX)
    assert nears[[0, 1, 4]].tolist() == [2.0, 0.25, 2.0]
    assert fars[[0, 1, 4]].tolist() == [3.5, 1.5, 3.5]
    assert torch.equal(nears[[2, 3]], fars[[2, 3]])


def test_beside_torch(generator: torch.Generator):
    n = 4000
    origins, directions = (torch.randn(n, 3, generator=generator) for _ in range(2))
    directions[:100, 0] = 0.0
    nears, widths = torch.rand(2, n, generator=generator)
    got = clip_rays(2 * origins, directions, nears, nears + 3 * widths, BOX)
    inverse = 1 / torch.where(directions.abs() < 1e-12, 1e-12, directions.double())
    t0, t1 = (BOX[0] - 2 * origins) * inverse, (BOX[1] - 2 * origins) * inverse
    enter = torch.minimum(t0, t1).amax(-1).maximum(nears)
    leave = torch.maximum(t0, t1).amin(-1).minimum(nears + 3 * widths).maximum(enter)
    torch.testing.assert_close([value.double() for value in got], [enter, leave], rtol=1e-5, atol=1e-5)
    assert 100 < int((leave > enter).sum()) < n - 100


def test_no_rays():
    nothing = torch.zeros(0)
    assert clip_rays(nothing.view(0, 3), nothing.view(0, 3), nothing, nothing, BOX)[1].shape == (0,)


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nears": torch.zeros(3)}, r"nears must have shape \(2\), got \(3,\)"),
        ({"fars": torch.zeros(2).double()}, r"fars must be torch\.float32, got torch\.float64"),
        ({"aabb": BOX[0]}, r"aabb must have shape \(2, 3\), got \(3,\)"),
        ({"aabb": BOX.to("meta")}, "aabb is on meta, but origins is on cpu"),
    ],
)
def test_bad_input_is_named(change: dict, message: str):
    good = {"origins": torch.zeros(2, 3), "directions": torch.ones(2, 3), "nears": torch.zeros(2)}
    with pytest.raises((TypeError, ValueError), match=message):
        clip_rays(**good | {"fars": torch.ones(2), "aabb": BOX} | change)
