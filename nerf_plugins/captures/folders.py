"""What a folder that is given for its photos holds in their place, or beside them."""

from __future__ import annotations

import shlex
from pathlib import Path

from nerf_plugins.data.unposed import unfinished
from nerf_plugins.errors import InputError
from nerf_plugins.images.kinds import PHOTOS, files_in, photos_in, videos_in
from nerf_plugins.wording import counted

RAW = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".rw2", ".orf")
WITH_POSES = ("transforms.json", "transforms_train.json", "poses_bounds.npy", "cameras_sphere.npz")
"""Files by which a folder is a dataset whose photos have poses."""


def refuse_dataset(folder: Path) -> None:
    """Refuses a folder whose photos have poses already, or were to get some: its pictures would be taken for photos.

    Raises:
        InputError: says what can be done with it.
    """
    if problem := unfinished(folder):
        raise InputError(f"{folder}: {problem}")
    mark = next((name for name in WITH_POSES if (folder / name).is_file()), None)
    if mark is None:
        return
    inner = folder / "images"
    photos = inner if inner.is_dir() else "a folder of the photos alone"
    raise InputError(
        f"{folder}: is a dataset already ({mark}), for ns-train: nerf-plugins doctor {shlex.quote(str(folder))} looks at it and "
        f"names the command that suits it. To find poses anew give {photos}"
    )


def instead_of_photos(folder: Path) -> str:
    """What a folder without photos has, and what to give, in words."""
    videos, raws = videos_in(folder), files_in(folder, RAW)
    if videos:
        return (
            f"has no photos, but {_named(videos)}: give {'it' if len(videos) == 1 else 'one of them'}, as {videos[0]}"
        )
    if raws:
        return f"has raw files only ({raws[0].name}); develop them to JPEG first"
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        if photos_in(inner):
            return f"has no photos itself, but its folder {inner.name} has: give {inner}"
        if videos := videos_in(inner):
            return f"has no photos, but its folder {inner.name} has {_named(videos)}: give {videos[0]}"
    return f"has no photos ({', '.join(PHOTOS)})"


def beside_photos(folder: Path) -> str | None:
    """That videos among the photos are left out; None where there are none."""
    videos = videos_in(folder)
    if not videos:
        return None
    return f"{folder}: only its photos are used, not {_named(videos)}; for the poses of a video give it, as {videos[0]}"


def _named(videos: list[Path]) -> str:
    return (
        f"a video, {videos[0].name}" if len(videos) == 1 else f"{counted(len(videos), 'video')} ({videos[0].name}, ...)"
    )
