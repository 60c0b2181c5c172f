"""The options of `nerf-plugins doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class DoctorOptions:
    """Show what this machine has, which backend each part will use, and what to do about what is missing; or, of a dataset, what is odd
    about it, and which method suits it.

    The exit code is 0 if our methods can be trained here, or on the dataset, else 1.
    """

    data: Annotated[Path | None, tyro.conf.Positional] = None
    """A dataset of any layout, a folder of photos, or a video: read as training would, and reported on. Without it: this machine."""
    json: bool = False
    """Print JSON, for programs."""
    picture: Path | None = None
    """PNG to draw the dataset's cameras into. None: one in the system's folder for temporary files."""
