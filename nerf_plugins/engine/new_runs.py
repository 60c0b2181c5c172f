"""Folders of runs that have only begun: ns-train writes config.yml before it looks at the data, which may be none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _NewRun:
    """What this process has made: the folder and those above it, the innermost first, and the files in it as they were written."""

    folders: tuple[Path, ...]
    files: dict[Path, bytes]


_NEW: dict[Path, _NewRun] = {}


@contextmanager
def new_run(folder: Path) -> Iterator[None]:
    """Remembers what is written meanwhile into a run's folder, if that was not there before."""
    _NEW.pop(folder, None)
    missing = tuple(path for path in (folder, *folder.parents) if not path.exists())
    yield
    if folder in missing:
        _NEW[folder] = _NewRun(missing, {path: path.read_bytes() for path in folder.iterdir() if path.is_file()})


@contextmanager
def taken_back_if_refused(folder: Path) -> Iterator[None]:
    """Where what the user gave ends the program (in one line) before the training, a folder in which there is nothing but its
    configuration goes again, with those above it that were made for it and are empty. What was there before, or came to it, stays."""
    try:
        yield
    except SystemExit:
        if folder in _NEW:
            _take_back(folder, _NEW[folder])
        raise
    finally:
        _NEW.pop(folder, None)


def _take_back(folder: Path, run: _NewRun) -> None:
    try:
        if {path: path.read_bytes() for path in folder.iterdir()} != run.files:
            return
        for path in run.files:
            path.unlink()
        for path in run.folders:
            path.rmdir()  # refuses one that is not empty
    except OSError:
        return
