import pytest
import torch

from nerf_plugins.ops import pack_sections

STARTS = torch.tensor([[0.0, 1.0, 2.0], [5.0, 6.0, 7.0], [8.0, 9.0, 10.0]])
ENDS = STARTS + 0.5
KEEP = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])


def test_kept_sections_in_order():
    samples = pack_sections(STARTS, ENDS, KEEP)
    assert samples.t_starts.tolist() == [0.0, 2.0, 8.0, 9.0, 10.0]
    assert samples.t_ends.tolist() == [0.5, 2.5, 8.5, 9.5, 10.5]
    assert samples.ray_indices.tolist() == [0, 0, 2, 2, 2]
    assert samples.packed_info.tolist() == [[0, 2], [2, 0], [2, 3]]
    assert int(samples.n_dropped_rays) == 0


def test_a_ray_that_does_not_fit_keeps_nothing_and_is_counted():
    samples = pack_sections(STARTS, ENDS, KEEP, capacity=4)
    assert samples.t_starts.tolist() == [0.0, 2.0, 0.0, 0.0]
    assert samples.ray_indices.tolist() == [0, 0, 0, 0]
    assert samples.packed_info[:, 1].tolist() == [2, 0, 0]
    assert int(samples.n_dropped_rays) == 1


def test_room_to_spare_is_padding():
    samples = pack_sections(STARTS, ENDS, KEEP, capacity=8)
    assert samples.t_starts.tolist() == [0.0, 2.0, 8.0, 9.0, 10.0, 0.0, 0.0, 0.0]
    assert samples.t_ends[5:].tolist() == [0.0, 0.0, 0.0]
    assert samples.packed_info.tolist() == [[0, 2], [2, 0], [2, 3]]


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_nothing_to_pack(shape: tuple[int, int]):
    empty = torch.zeros(shape)
    samples = pack_sections(empty, empty, empty.bool())
    assert len(samples.t_starts) == 0
    assert samples.packed_info.shape == (shape[0], 2)


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": KEEP.float()}, "keep must be torch.bool"),
        ({"t_ends": ENDS[:2]}, r"t_ends must have shape \(3, 3\)"),
        ({"capacity": -1}, "capacity must be >= 0, got -1"),
    ],
)
def test_bad_input_is_named(change: dict, message: str):
    arguments = {"t_starts": STARTS, "t_ends": ENDS, "keep": KEEP} | change
    with pytest.raises((TypeError, ValueError), match=message):
        pack_sections(**arguments)
