"""Files that are written whole or not at all, and never over others unless they are brought up to date."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from uuid import uuid4

from nerf_plugins.errors import InputError


def check_free(path: Path, option: str) -> None:
    """Refuse to overwrite a file or folder.

    Raises:
        InputError: it exists; names the option that gives another.
    """
    if path.exists():
        raise InputError(f"{path} exists and is not overwritten: move it away or give another {option}")


def make_folder(path: Path, option: str) -> None:
    """Makes a folder where there is none yet.

    Raises:
        InputError: it cannot be made, or written to; names the option that gives another.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except OSError as e:
        raise InputError(f"{path}: cannot be written to ({e.strerror or e}); give another {option}") from e


@contextmanager
def new_file(path: Path, option: str) -> Iterator[Path]:
    """Gives a path beside the file's place to write to; what is there at the end is moved to its place.

    Args:
        path: of the file; its folder is made.
        option: that gives another path, for messages.

    Raises:
        InputError: the file exists, or cannot be written.
    """
    check_free(path, option)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            yield part
    except OSError as e:
        raise InputError(f"{path}: cannot be written ({e.strerror or e}); give another {option}") from e


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """As :func:`new_file`, but in the place of what is there; whoever else writes the file at the same time."""
    part = path.with_name(f".{uuid4().hex[:12]}{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink()
