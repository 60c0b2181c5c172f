"""Photos and videos that are given where a dataset with poses belongs."""

from __future__ import annotations

import shlex
from pathlib import Path

from nerf_plugins.images.kinds import VIDEOS, photos_in, videos_in

WORK = "colmap"
"""The folder, within an output of process-data, of the database, the log and the sparse model."""
RECORD = "made_of.json"
"""The file in it that says what the output was made of; without one, nothing there is the command's."""
_OF_COLMAP = (WORK, "sparse", "database.db")


def without_poses(data: Path) -> str | None:
    """What is known of data that no dataparser knows by its files, and how poses are found; None if these are no photos and no video.

    Args:
        data: a folder or a file.
    """
    if data.is_file():
        if data.suffix.lower() in VIDEOS:
            return f"is a video, without poses; {_find_poses(data)}"
        return "is a file: give the folder of a dataset"
    if problem := unfinished(data):
        return problem
    inner = data / "images"
    has_inner = inner.is_dir() and not any((data / name).exists() for name in _OF_COLMAP)
    for folder in (data, inner) if has_inner else (data,):
        if photos := photos_in(folder):
            return f"has photos ({photos[0].name}, ...), but no poses; {_find_poses(folder)}"
    if videos := videos_in(data):
        return f"has a video, {videos[0].name}, but no poses; {_find_poses(videos[0])}"
    return None


def unfinished(folder: Path) -> str | None:
    """That a folder is an output of process-data in which there is no dataset; None where it is not."""
    if not (folder / WORK / RECORD).is_file() or (folder / "transforms.json").exists():
        return None
    return (
        "has no transforms.json yet: process-data was stopped, or placed too few photos; call it again with the same photos, options "
        "and --output-dir: it goes on, or says why"
    )


def _find_poses(source: Path) -> str:
    target = f"{source.resolve().stem}_capture"
    return (
        f"nerf-plugins process-data {shlex.quote(str(source))} --output-dir {shlex.quote(target)} finds them and makes the dataset: "
        f"then give --data {shlex.quote(target)}"
    )
