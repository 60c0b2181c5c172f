"""Launches on the CPU keep to the threads that torch may use; a repeated launch works on its own arguments."""

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import torch
import warp as wp
from torch import Tensor

from nerf_plugins.kernels import launch as module


@pytest.fixture
def torch_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("torch_threads")
def test_as_many_threads_run_as_torch_has(monkeypatch: pytest.MonkeyPatch):
    ranges: list[tuple[int, int]] = []
    threads: set[int] = set()

    def fake_run(kernel: str, n_items: int, arguments: list, device: str) -> None:
        together.wait(timeout=30.0)  # passes only when as many threads wait
        threads.add(threading.get_ident())
        ranges.append((arguments[0], arguments[0] + n_items))

    monkeypatch.setattr(module, "_run", fake_run)
    for n in (2, 5, 3):
        torch.set_num_threads(n)
        together = threading.Barrier(n)
        module.launch("a kernel", 100_000, [], torch.device("cpu"))
        assert len(threads) == n
        edges = sorted(ranges)
        assert (edges[0][0], edges[-1][1], len(edges)) == (0, 100_000, 4 * n)
        assert all(before[1] == after[0] for before, after in pairwise(edges))
        ranges.clear()
        threads.clear()


@wp.kernel(module="unique", enable_backward=False)
def add_scaled(
    first_item: int,
    grid: wp.array3d[float],
    rows: wp.array[wp.vec3],
    chosen: wp.array[wp.uint8],
    scale: float,
    out: wp.array[wp.vec3],
):
    i = first_item + wp.tid()
    last = grid[grid.shape[0] - 1, grid.shape[1] - 1, grid.shape[2] - 1]
    if chosen[i] != wp.uint8(0):
        out[i] = scale * rows[i] + wp.vec3(last, float(rows.shape[0]), 0.0)


def launched(n: int, shape: tuple[int, int, int], scale: float) -> tuple[Tensor, Tensor]:
    """What the kernel makes of its arguments, and what it should."""
    grid, rows, chosen = torch.rand(shape), torch.rand(n, 3), torch.rand(n) < 0.5
    out = torch.zeros(n, 3)
    module.launch(add_scaled, n, [grid, rows, chosen, scale, out], torch.device("cpu"))
    expected = scale * rows + torch.tensor([float(grid[-1, -1, -1]), float(n), 0.0])
    return out, expected * chosen[:, None]


def test_a_repeated_launch_has_the_shapes_and_numbers_of_its_own_arguments():
    for n, shape, scale in [(5, (2, 3, 4), 1.0), (3000, (4, 3, 2), -2.0), (7, (1, 1, 9), 3), (7, (2, 3, 4), 0.5)]:
        torch.testing.assert_close(*launched(n, shape, scale))


def test_threads_that_launch_at_once_do_not_share_arguments():
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: launched(200 + i, (1 + i % 3, 2, 2), float(i)), range(200)))
    for mine, expected in results:
        torch.testing.assert_close(mine, expected)


def test_no_tensor_is_kept_alive(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_of_thread", threading.local())
    rows, out, chosen = torch.rand(9, 3), torch.zeros(9, 3), torch.ones(9, dtype=torch.bool)
    module.launch(add_scaled, 9, [torch.rand(1, 1, 1), rows, chosen, 1.0, out], torch.device("cpu"))
    addresses = {tensor.data_ptr() for tensor in (rows, out)}
    del rows, out
    gc.collect()
    held = [
        x for x in gc.get_objects() if isinstance(x, Tensor) and x.device.type == "cpu" and x.data_ptr() in addresses
    ]
    assert not held


@wp.kernel(module="unique", enable_backward=False)
def copy_numbers(first_item: int, numbers: wp.array[float], out: wp.array[float]):
    i = first_item + wp.tid()
    out[i] = numbers[i]


def test_a_launch_of_one_number_without_a_stride_leaves_later_ones_right():
    """torch calls an expanded single number contiguous, whose stride is 0."""
    one, out = torch.ones(()).expand(1).contiguous(), torch.zeros(1)
    assert one.stride() == (0,)
    module.launch(copy_numbers, 1, [one, out], torch.device("cpu"))
    numbers, out = torch.arange(5.0), torch.zeros(5)
    module.launch(copy_numbers, 5, [numbers, out], torch.device("cpu"))
    assert torch.equal(out, numbers)
