"""Which files of a folder are photos, and which are videos: by the endings of their names."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

PHOTOS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".heic", ".heif")
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".mpg", ".mpeg")


def photos_in(folder: Path) -> list[Path]:
    """The photos in a folder by name; links that lead to no file too."""
    return files_in(folder, PHOTOS)


def videos_in(folder: Path) -> list[Path]:
    """The videos."""
    return files_in(folder, VIDEOS)


def files_in(folder: Path, endings: Collection[str]) -> list[Path]:
    """The files that are not hidden and whose names have one of the endings, in small letters, by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in endings and not path.is_dir() and not path.name.startswith(".")
    )
