"""A folder of made files that is either complete or not there.

It is built under another name beside its place and renamed into it, and carries a list of its files with their
checksums, by which a damaged one is found and made again. Runs that build the same folder at once each build their own;
one of them wins.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

MANIFEST = "manifest.json"


def is_complete(folder: Path) -> bool:
    """Whether every file that the folder's list names is there and has the checksum written there."""
    try:
        checksums = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["crc32"]
        return len(checksums) > 0 and all(_checksum(folder / name) == crc for name, crc in checksums.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def ensure(folder: Path, build: Callable[[Path], None]) -> bool:
    """Make the folder complete, by ``build(empty folder)`` unless it is so already.

    Whatever ends the building early, a Ctrl-C too, leaves the place as it was.

    Returns:
        Whether it was built now.
    """
    if is_complete(folder):
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = _sibling(folder, "part")
    try:
        part.mkdir()
        build(part)
        files = sorted(p for p in part.rglob("*") if p.is_file())
        checksums = {p.relative_to(part).as_posix(): _checksum(p) for p in files}
        (part / MANIFEST).write_text(json.dumps({"crc32": checksums}, indent=1), encoding="utf-8")
        _publish(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def _publish(part: Path, folder: Path) -> None:
    """Rename ``part`` to ``folder``; a damaged one there is taken away, a complete one of another run is kept."""
    while True:
        try:
            part.rename(folder)
            return
        except OSError:
            if not folder.exists():
                raise
        if is_complete(folder):
            return
        old = _sibling(folder, "old")
        with suppress(FileNotFoundError):
            folder.rename(old)
        shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)


def _sibling(folder: Path, ending: str) -> Path:
    return folder.with_name(f".{folder.name}.{uuid4().hex[:12]}.{ending}")


def _checksum(path: Path) -> int:
    return zlib.crc32(path.read_bytes())
