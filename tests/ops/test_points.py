"""Middles of pieces of rays: by hand, beside torch, and bad input."""

import pytest
import torch

from nerf_plugins.ops import ray_points

STARTS, ENDS = torch.tensor([0.0, 2.0, 6.0]), torch.tensor([2.0, 4.0, 10.0])
ORIGINS = torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, 0.5]])
DIRECTIONS = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
INDICES = torch.tensor([0, 1, 0], dtype=torch.int32)
SCALE, SHIFT = torch.tensor([0.5, 1.0, 0.25]), torch.tensor([0.0, 0.5, -1.0])


def test_by_hand():
    # Middles (0, 0, 1), (1 + 3, -1, 0.5), (0, 0, 8).
    in_box = ray_points(STARTS, ENDS, ORIGINS, DIRECTIONS, INDICES, SCALE, SHIFT, contracted=False)
    assert in_box.tolist() == [[0.0, 0.5, -0.75], [2.0, -0.5, -0.875], [0.0, 0.5, 1.0]]
    # Only the second is outside: m = 2, so (2 - 1/2) / 2 / 2 = 0.375 of it; the others are halved.
    contracted = ray_points(STARTS, ENDS, ORIGINS, DIRECTIONS, INDICES, SCALE, SHIFT, contracted=True)
    assert contracted.tolist() == [[0.0, 0.25, -0.375], [0.75, -0.1875, -0.328125], [0.0, 0.25, 0.5]]


@pytest.mark.parametrize("contracted", [False, True])
def test_beside_torch(generator: torch.Generator, contracted: bool):
    n_rays, n = 40, 3000
    origins, directions = (torch.randn(n_rays, 3, generator=generator) for _ in range(2))
    indices = torch.randint(n_rays, (n,), generator=generator, dtype=torch.int32)
    starts, widths = torch.rand(2, n, generator=generator)
    got = ray_points(starts, starts + widths, origins, directions, indices, SCALE, SHIFT, contracted=contracted)
    t = (starts.double() + 0.5 * widths.double())[:, None]
    expected = (origins.double()[indices.long()] + t * directions.double()[indices.long()]) * SCALE + SHIFT
    if contracted:
        m = expected.abs().amax(-1, keepdim=True).clamp(min=1.0)
        expected = 0.5 * (2 - 1 / m) * expected / m
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-6)


def test_no_pieces():
    none = ray_points(STARTS[:0], ENDS[:0], ORIGINS, DIRECTIONS, INDICES[:0], SCALE, SHIFT, contracted=True)
    assert none.shape == (0, 3)


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ray_indices": INDICES.long()}, r"ray_indices must be torch\.int32, got torch\.int64"),
        ({"t_ends": ENDS[:2]}, r"t_ends must have shape \(3\), got \(2,\)"),
        ({"directions": DIRECTIONS[:1]}, r"directions must have shape \(2, 3\)"),
        ({"box_shift": torch.zeros(2)}, r"box_shift must have shape \(3\), got \(2,\)"),
        ({"origins": ORIGINS.to("meta")}, "origins is on meta, but t_starts is on cpu"),
    ],
)
def test_bad_input_is_named(change: dict, message: str):
    good = {"t_starts": STARTS, "t_ends": ENDS, "origins": ORIGINS, "directions": DIRECTIONS, "ray_indices": INDICES}
    with pytest.raises((TypeError, ValueError), match=message):
        ray_points(**good | {"box_scale": SCALE, "box_shift": SHIFT} | change, contracted=False)
