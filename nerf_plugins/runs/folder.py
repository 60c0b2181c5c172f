"""What a run has reached, read from its folder: nothing else remembers it, so that a kill loses nothing."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nerf_plugins.runs.checkpoints import checkpoint_name, checkpoints_in

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LOGGED_STEP = re.compile(r"^\s*(\d+) \(\s*[\d.]+%\)")
_TAIL_BYTES = 32768
"""Of a log: more than 50 lines of nerfstudio's table, with their colours."""


@dataclass(frozen=True)
class RunFolder:
    """A run of nerfstudio on the disk."""

    path: Path
    """With config.yml."""
    models: str = "nerfstudio_models"
    """The folder of checkpoints in it."""

    def checkpoint(self, steps: int) -> Path:
        """The checkpoint after so many steps."""
        return self.path / self.models / checkpoint_name(steps - 1)

    def reached(self) -> list[int]:
        """After how many steps there are whole checkpoints, ascending."""
        return [step + 1 for step, path in self._checkpoints().items() if zipfile.is_zipfile(path)]

    def broken(self) -> list[Path]:
        """Checkpoints that are not whole: trainers of other packages leave them when they are killed."""
        return [path for path in self._checkpoints().values() if not zipfile.is_zipfile(path)]

    def _checkpoints(self) -> dict[int, Path]:
        return checkpoints_in(self.path / self.models)

    def missing(self, steps: Sequence[int]) -> list[int]:
        """The listed steps whose checkpoint is not there."""
        there = set(self.reached())
        return [n for n in steps if n not in there]

    def newest(self, before: int) -> int:
        """The most steps, but less than ``before``, that a checkpoint has; 0 if there is none."""
        return max((n for n in self.reached() if n < before), default=0)

    def remove_all_but(self, steps: Sequence[int]) -> None:
        """Deletes the checkpoints that are not listed."""
        for path in set(self._checkpoints().values()) - {self.checkpoint(n) for n in steps}:
            path.unlink()

    def remove_broken(self) -> None:
        """Deletes half-written checkpoints."""
        for path in self.broken():
            path.unlink()

    def next_log(self) -> Path:
        """The log file of another process; its first line is when it began, in seconds since 1970."""
        return self.path / f"train-{len(self.logs()):03d}.log"

    def logs(self) -> list[Path]:
        """The processes' logs in their order."""
        return sorted(self.path.glob("train-*.log"))

    def last_step(self) -> int:
        """The last step that the newest log or a checkpoint tells of."""
        steps = [0, *self.reached()]
        for line in self._tail()[-50:]:
            found = _LOGGED_STEP.match(line)
            if found:
                steps.append(int(found.group(1)))
        return max(steps)

    def last_line(self) -> str:
        """The last line of the newest log that says something."""
        lines = [line.strip(" │─╭╮╰╯") for line in self._tail()]
        return next((line for line in reversed(lines) if line), "its process left no log")

    def seconds(self, steps: int) -> float | None:
        """Wall-clock seconds of the processes until a checkpoint was there, loading included, waiting in between not; None if it is not.
        A process that was killed before its log said when it began counts nothing."""
        checkpoint = self.checkpoint(steps)
        if not checkpoint.exists():
            return None
        end = checkpoint.stat().st_mtime
        total = 0.0
        for log in self.logs():
            began = _began(log)
            if began is not None:
                total += max(0.0, min(end, log.stat().st_mtime) - began)
        return total

    def _tail(self) -> list[str]:
        """The newest log's last lines that are not empty; the first of them may be cut."""
        logs = self.logs()
        if not logs:
            return []
        with logs[-1].open("rb") as file:
            file.seek(max(0, logs[-1].stat().st_size - _TAIL_BYTES))
            text = _ANSI.sub("", file.read().decode(errors="replace"))
        return [line for line in re.split(r"[\r\n]+", text) if line.strip()]


def _began(log: Path) -> float | None:
    """Seconds since 1970, from a log's first line."""
    with log.open("rb") as file:
        found = re.match(rb"([\d.]+):", file.readline())
    return float(found.group(1)) if found else None
