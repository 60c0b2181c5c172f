"""The options of ``nerf-plugins tracks``; imports nothing, so that the command line is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TracksOptions:
    """Follow surface points of a moving scene through time, as its learnt warp has them, in the input data's world units."""

    load_config: Path
    """The config.yml of the run, or its folder; of a method whose field is seen through a warp."""
    output_dir: Path | None = None
    """Folder for tracks.npz and a PLY file a time. None: the folder tracks beside the config.yml. No file there is overwritten."""
    start: float = 0.0
    """The time in [0, 1] at which the points are taken from the surface."""
    times: int = 21
    """They are followed to this many times, evenly over [0, 1]."""
    points: int = 5000
    """How many, spread evenly over the surface."""
    resolution: int = 96
    """Cells along the longest side of the scene box, in which the surface is looked for at each time."""
    truth: Path | None = None
    """An npz file with "times" (t,) and "points" (t, n, 3), the same material points at each time in the input data's world units.
    Its points at the first time are then followed to its other times, and the errors are printed and written."""
    npz_only: bool = False
    """Write no PLY files."""
