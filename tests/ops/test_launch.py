"""Launches on the CPU keep to the threads that torch may use."""

import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch

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

    def fake_launch(kernel: str, dim: int, inputs: list, device: str) -> None:
        together.wait(timeout=30.0)  # passes only when as many threads wait
        threads.add(threading.get_ident())
        ranges.append((inputs[0], inputs[0] + dim))

    monkeypatch.setattr(module.wp, "launch", fake_launch)
    monkeypatch.setattr(module, "_loaded", {"a kernel"})
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
