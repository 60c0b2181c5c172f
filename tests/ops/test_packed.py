import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nerf_plugins.ops import PackedSamples, pack_sections, select_samples

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


def test_samples_without_room_are_wanted_all_the_same():
    keep = torch.ones(3, 2, dtype=torch.bool)
    t = torch.arange(6.0).view(3, 2)
    assert pack_sections(t, t + 1, keep, capacity=3).n_wanted == 6


def test_what_comes_after_a_ray_that_does_not_fit_finds_no_room_either():
    samples = pack_sections(STARTS, ENDS, KEEP.flip(0), capacity=2)
    assert samples.packed_info[:, 1].tolist() == [0, 0, 0]
    assert int(samples.n_dropped_rays) == 2


@pytest.mark.parametrize("capacity", [0, 1])
def test_all_rays_dropped(capacity: int):
    samples = pack_sections(STARTS, ENDS, KEEP, capacity=capacity)
    assert samples.t_ends.tolist() == [0.0] * capacity
    assert not samples.packed_info[:, 1].any()
    assert int(samples.n_dropped_rays) == 2  # a ray without sections is not dropped


def test_room_to_spare_is_padding():
    samples = pack_sections(STARTS, ENDS, KEEP, capacity=8)
    assert samples.t_starts.tolist() == [0.0, 2.0, 8.0, 9.0, 10.0, 0.0, 0.0, 0.0]
    assert samples.t_ends[5:].tolist() == [0.0, 0.0, 0.0]
    assert samples.packed_info.tolist() == [[0, 2], [2, 0], [2, 3]]


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
@pytest.mark.parametrize("capacity", [None, 0, 5])
def test_nothing_to_pack(shape: tuple[int, int], capacity: int | None):
    empty = torch.zeros(shape)
    samples = pack_sections(empty, empty, empty.bool(), capacity=capacity)
    assert samples.t_starts.shape == (capacity or 0,)
    assert samples.packed_info.tolist() == [[0, 0]] * shape[0]
    assert int(samples.n_dropped_rays) == 0


def pack_by_hand(t_starts, t_ends, keep, capacity: int | None) -> PackedSamples:
    """Ray by ray, into lists. A ray that does not fit has no samples, nor has any after it."""
    rays, starts, ends, info, n_dropped, wanted = [], [], [], [], 0, 0
    for ray, kept in enumerate(keep):
        mine = kept.nonzero()[:, 0]
        begin, wanted = wanted, wanted + len(mine)
        if capacity is not None and wanted > capacity:
            n_dropped += len(mine) > 0
            info.append((min(begin, capacity), 0))
            continue
        info.append((begin, len(mine)))
        rays += [ray] * len(mine)
        starts += t_starts[ray, mine].tolist()
        ends += t_ends[ray, mine].tolist()
    padding = [0] * ((len(rays) if capacity is None else capacity) - len(rays))
    return PackedSamples(
        torch.tensor(rays + padding, dtype=torch.int32),
        torch.tensor(starts + padding, dtype=torch.float32),
        torch.tensor(ends + padding, dtype=torch.float32),
        torch.tensor(info, dtype=torch.int32).reshape(-1, 2),
        torch.tensor(n_dropped, dtype=torch.int32),
        torch.tensor(int(keep.sum())),
    )


@given(
    n_rays=st.integers(0, 12),
    n=st.integers(0, 9),
    share=st.floats(0, 1),
    capacity=st.none() | st.integers(0, 60),
    seed=st.integers(0, 2**31),
)
def test_matches_a_loop_over_rays(n_rays, n, share, capacity, seed):
    generator = torch.Generator().manual_seed(seed)
    edges = (torch.rand(n_rays, n + 1, generator=generator) + 0.01).cumsum(-1)
    keep = torch.rand(n_rays, n, generator=generator) < share
    arguments = edges[:, :-1], edges[:, 1:], keep
    for mine, expected in zip(
        pack_sections(*arguments, capacity=capacity), pack_by_hand(*arguments, capacity), strict=True
    ):
        assert mine.dtype == expected.dtype
        assert torch.equal(mine, expected)


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": KEEP.float()}, "keep must be torch.bool"),
        ({"t_ends": ENDS[:2]}, r"t_ends must have shape \(3, 3\)"),
        ({"keep": KEEP.to("meta")}, "keep is on meta, but t_starts is on cpu"),
        ({"t_starts": STARTS.double()}, "t_starts must be torch.float32, got torch.float64"),
        ({"t_starts": STARTS[0]}, r"t_starts must have shape \(n, n\), got \(3,\)"),
        ({"capacity": -1}, "capacity must be >= 0, got -1"),
        ({"capacity": 1.5}, "capacity must be an int, got float 1.5"),
    ],
)
def test_bad_input_is_named(change: dict, message: str):
    arguments = {"t_starts": STARTS, "t_ends": ENDS, "keep": KEEP} | change
    with pytest.raises((TypeError, ValueError), match=message):
        pack_sections(**arguments)


# --- Selecting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [None, 3, 5, 20])
@pytest.mark.parametrize("padding", [0, 4])
@given(keep=st.lists(st.lists(st.booleans(), max_size=5), min_size=1, max_size=6))
def test_selecting_is_packing_what_is_left(keep: list[list[bool]], padding: int, capacity: int | None):
    """Samples in rows of one length, some of them none, against the same rows packed at once."""
    width = max(1, *(len(row) for row in keep))
    exists = torch.tensor([[i < len(row) for i in range(width)] for row in keep], dtype=torch.bool).view(-1, width)
    wanted = torch.tensor([row + [False] * (width - len(row)) for row in keep], dtype=torch.bool).view(-1, width)
    t_starts = torch.arange(wanted.numel(), dtype=torch.float32).view_as(wanted)
    everything = pack_sections(t_starts, t_starts + 0.5, exists, capacity=int(exists.sum()) + padding)
    chosen = torch.cat([wanted[exists], torch.zeros(padding, dtype=torch.bool)])
    selected = select_samples(everything, chosen, capacity=capacity)
    expected = pack_sections(t_starts, t_starts + 0.5, wanted, capacity=capacity)
    for mine, other in zip(selected, expected, strict=True):
        assert mine.tolist() == other.tolist()
        assert mine.dtype == other.dtype


def test_rays_that_were_dropped_before_stay_counted():
    samples = pack_sections(STARTS, ENDS, KEEP, capacity=4)
    again = select_samples(samples, torch.tensor([True, True, False, False]), capacity=1)
    assert int(again.n_dropped_rays) == 2
    assert not again.packed_info[:, 1].any()


def test_selecting_from_no_rays():
    none = pack_sections(STARTS[:0], ENDS[:0], KEEP[:0])
    assert len(select_samples(none, torch.zeros(0, dtype=torch.bool)).t_starts) == 0


@pytest.mark.usefixtures("without_type_checker")
def test_bad_choice():
    samples = pack_sections(STARTS, ENDS, KEEP)
    with pytest.raises(ValueError, match="keep"):
        select_samples(samples, torch.ones(4, dtype=torch.bool))
    with pytest.raises(TypeError, match="keep"):
        select_samples(samples, torch.ones(5))
