"""How many threads torch computes with on the CPU: no more than there are CPUs that others leave free.

Before each piece of work torch's OpenMP threads wait for each other, spinning. Where another process has taken one's CPU, all others spin
until it is back, so a step beside two busy processes can take many times the fair share. The runtime's own remedy, ``OMP_WAIT_POLICY``,
is read before any plugin is loaded; a count of threads can follow the load at any time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

_STAT = Path("/proc/stat")
_SECONDS_BETWEEN_LOOKS = 1.0


class Clock(NamedTuple):
    """Seconds, each from a start of its own."""

    wall: float
    own: float
    """CPU time of this process, all its threads together."""
    idle: float
    """Time in which nobody wanted the CPUs that this process may use, those together."""


def read_clock() -> Clock | None:
    """The clock now; None where the system does not say (only Linux does)."""
    try:
        lines = [line.split() for line in _STAT.read_text().splitlines()]
        mine = {f"cpu{i}" for i in os.sched_getaffinity(0)}
        ticks = os.sysconf("SC_CLK_TCK")
        # proc(5): name, user, nice, system, idle, iowait, ...
        idle = sum(int(line[4]) + int(line[5]) for line in lines if line and line[0] in mine) / ticks
    except (AttributeError, OSError, ValueError, IndexError):
        return None
    return Clock(time.monotonic(), time.process_time(), idle)


def follows_load() -> bool:
    """Whether torch's threads follow the load here: the system says how busy it is, and the user has not said how many to take."""
    return "OMP_NUM_THREADS" not in os.environ and read_clock() is not None


def describe_threads() -> str:
    """Who says how many threads torch takes, for a person."""
    if follows_load():
        return f"at most {torch.get_num_threads()}, fewer while others use the CPUs"
    said = os.environ.get("OMP_NUM_THREADS")
    reason = "the system does not say how busy it is" if said is None else f"OMP_NUM_THREADS is {said}"
    return f"always {torch.get_num_threads()}: {reason}"


class LoadFollower:
    """Keeps torch's threads to the CPUs that are free or already ours: (idle + own CPU time) / wall time, rounded, at least 1.

    Args:
        most: the most threads. None: as many as torch has now.
        read: what time it is.
    """

    def __init__(self, most: int | None = None, read: Callable[[], Clock | None] = read_clock) -> None:
        self.most = most or torch.get_num_threads()
        self.threads = self.most
        self._read = read
        self._before = read()

    def follow(self) -> None:
        """To be called before each piece of work, in the thread that does it; looks at the load once a second."""
        if self._before is not None and time.monotonic() - self._before.wall >= _SECONDS_BETWEEN_LOOKS:
            self._look(self._before)
        if torch.get_num_threads() != self.threads:  # torch counts for each thread that calls it
            torch.set_num_threads(self.threads)

    def _look(self, before: Clock) -> None:
        now = self._read()
        if now is not None:
            free = (now.idle - before.idle + now.own - before.own) / (now.wall - before.wall)
            self.threads = min(max(round(free), 1), self.most)
        self._before = now
