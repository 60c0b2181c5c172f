"""The options of `nerf-plugins process-data`; imports nothing heavy, so that the command line is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class ProcessDataOptions:
    """Make a dataset with poses and sparse points of a folder of photos, or of a video."""

    data: Annotated[Path, tyro.conf.Positional]
    """A folder of photos, or a video."""
    output_dir: Path
    """Folder for the dataset: a new or empty one. Called again with the same photos and options, the command goes on where it was."""
    masks: Literal["auto", "none"] | Path = "auto"
    """Folder of masks named as the photos, black where nothing is to be learnt.
    auto: `masks` in the photos' folder or beside it, where there is one with such names. none: no masks."""
    frames: int = 200
    """Frames to take from a video; fewer if the camera moves too little for so many."""
    moving: bool = False
    """Something moves while the video is taken: each frame gets its time, from 0 to 1, which `timed-data` reads."""
    matching: Literal["auto", "exhaustive", "sequential", "nearest"] = "auto"
    """Which photos are compared. exhaustive: all with all.
    sequential: with those that follow, and the most similar ones. nearest: with the most similar ones.
    auto: sequential for a video, else exhaustive for up to 80 photos and nearest for more."""
    neighbours: int = 20
    """Most similar photos that each is compared with (nearest), or photos that follow (sequential: half as many)."""
    mapper: Literal["auto", "global", "incremental"] = "auto"
    """How poses are found. global: all at once. incremental: photo by photo; slow for many photos, which may drift.
    auto: global; where more than a twentieth of the matches contradict that, incremental too, and the better is kept."""
    cameras: Literal["auto", "one", "each"] = "auto"
    """Which photos share a camera. auto: those of one size, and of one camera, lens and focal length by their EXIF.
    one: all of one size. each: none."""
    feature_size: int = 1600
    """Longer side, in pixels, of the pictures in which features are looked for; larger photos are shrunk for it."""
    features: int = 4096
    """Features of a photo, about, at most; one of two directions counts once."""
    min_registered: float = 0.3
    """Share of the photos that must get a pose; with fewer no dataset is written."""
    dry_run: bool = False
    """Only say what would be done."""
