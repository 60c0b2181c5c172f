"""The names of nerfstudio's checkpoints. The one after n steps is that of step n - 1, as nerfstudio counts from 0."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"step-(\d+)\.ckpt")


def checkpoint_name(step: int) -> str:
    """The file that nerfstudio's trainer writes in a step: ``step-000000499.ckpt``."""
    return f"step-{step:09d}.ckpt"


def step_of(checkpoint: Path) -> int | None:
    """The step in a checkpoint's name; None where it is called otherwise."""
    found = _NAME.fullmatch(checkpoint.name)
    return int(found.group(1)) if found else None


def checkpoints_in(folder: Path) -> dict[int, Path]:
    """A folder's files that are called as checkpoints, whole or not, by their step, ascending; none where there is no such folder."""
    steps = {step_of(path): path for path in folder.glob("step-*.ckpt")}
    return {step: steps[step] for step in sorted(step for step in steps if step is not None)}
