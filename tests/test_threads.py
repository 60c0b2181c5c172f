"""How many threads torch takes beside others."""

from collections.abc import Iterator

import pytest
import torch

from nerf_plugins.threads import Clock, LoadFollower, describe_threads, follows_load, read_clock


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def after(own: float, idle: float, most: int = 4, seconds: float = 10.0) -> int:
    """Threads after some seconds in which this process had ``own`` CPUs, and ``idle`` had nothing to do."""
    clocks = iter([Clock(-seconds, 5.0, 70.0), Clock(0.0, 5.0 + own * seconds, 70.0 + idle * seconds)])
    follower = LoadFollower(most, lambda: next(clocks))
    follower.follow()
    assert torch.get_num_threads() == follower.threads
    return follower.threads


@pytest.mark.parametrize(
    ("own", "idle", "threads"),
    [
        (4.0, 0.0, 4),  # alone, all at work
        (1.0, 2.9, 4),  # alone, after a time with one thread
        (2.0, 0.0, 2),  # two CPUs belong to others
        (1.0, 1.1, 2),
        (0.4, 0.0, 1),  # less than one is left
        (4.0, 9.0, 4),  # no more than at first
    ],
)
def test_threads_are_the_cpus_that_are_left(own: float, idle: float, threads: int):
    assert after(own, idle) == threads


def test_the_load_is_looked_at_once_a_second():
    looks = []

    def read() -> Clock:
        looks.append(read_clock() or Clock(0.0, 0.0, 0.0))
        return looks[-1]

    if read_clock() is None:
        pytest.skip("the system does not say how busy it is")
    follower = LoadFollower(2, read)
    for _ in range(5):
        follower.follow()
    assert len(looks) == 1


def test_where_nobody_says_how_busy_it_is_threads_stay():
    follower = LoadFollower(3, lambda: None)
    follower.follow()
    assert (follower.threads, torch.get_num_threads()) == (3, 3)


def test_the_users_number_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert not follows_load()
    assert describe_threads().endswith("OMP_NUM_THREADS is 2")
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert follows_load() == (read_clock() is not None)
