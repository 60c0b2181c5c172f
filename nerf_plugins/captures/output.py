"""The output folder: made, gone on with, or refused. It knows which photos and options it was made of."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nerf_plugins.captures.options import ProcessDataOptions
from nerf_plugins.captures.writing import write_json
from nerf_plugins.data.unposed import RECORD, WORK
from nerf_plugins.errors import InputError

_SAMPLE = 1 << 16
_NOT_OF_THE_RESULT = ("output_dir", "dry_run", "min_registered", "data", "masks")


def identity(options: ProcessDataOptions, files: Sequence[Path]) -> dict[str, Any]:
    """What a result depends on: the options, and of each file its name, size, beginning and end."""
    chosen = {name: value for name, value in asdict(options).items() if name not in _NOT_OF_THE_RESULT}
    return {
        "format": 1,
        "options": chosen,
        "files": {f"{path.parent.name}/{path.name}": _fingerprint(path) for path in files},
    }


def _fingerprint(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_SAMPLE))
        file.seek(max(size - _SAMPLE, 0))
        digest.update(file.read(_SAMPLE))
    return f"{size}-{digest.hexdigest()[:16]}"


@contextmanager
def opened_output(folder: Path, wanted: dict[str, Any]) -> Iterator[Path]:
    """The folder's work folder, held for this process alone.

    Raises:
        InputError: the folder has something else in it, or another process works there, or it cannot be written to.
    """
    check_output(folder, wanted)
    work = folder / WORK
    there = {path for path in (folder, work) if path.exists()}
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work / ".lock")
        lock.acquire(timeout=0)
    except Timeout as e:
        raise InputError(
            f"{folder}: another process-data is at work there; wait for it, or give another --output-dir"
        ) from e
    except OSError as e:
        raise InputError(f"{folder}: cannot be written to ({e.strerror or e}); give another --output-dir") from e
    is_new = not (work / RECORD).exists()
    try:
        if is_new:
            write_json(wanted, work / RECORD)
        yield work
    except InputError:
        if is_new and not (work / "database.db").exists():
            _take_back(folder, there)
        raise
    finally:
        lock.release()


def _take_back(folder: Path, there: Collection[Path]) -> None:
    """Takes away what was written before a photo or mask turned out to be bad: without it the photos are others.

    Args:
        folder: which had nothing in it but, maybe, an empty work folder.
        there: of the folder and its work folder, those that were there.
    """
    for path in (*(folder / WORK).iterdir(), folder / "images", folder / "masks"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):  # missing, or on Windows the lock that is held
                path.unlink()
    for path in (folder / WORK, folder):
        if path not in there:
            with suppress(OSError):  # not empty
                path.rmdir()


def check_output(folder: Path, wanted: dict[str, Any]) -> None:
    """Refuses a folder that is not empty and not of the same photos and options.

    Raises:
        InputError: says what differs.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output-dir {folder}: is a file; give another")
    record = folder / WORK / RECORD
    if not record.exists():
        other = next(_not_ours(folder), None)
        if other is not None:
            raise InputError(f"--output-dir {folder}: has {other} in it, and nothing is overwritten; give another")
        return
    found = json.loads(record.read_text(encoding="utf-8"))
    if found != json.loads(json.dumps(wanted, default=str)):
        raise InputError(f"--output-dir {folder}: was made {_difference(found, wanted)}; give another, or delete it")


def _not_ours(folder: Path) -> Iterator[str]:
    """What is in a folder without a record, but for what a call leaves that was stopped before it wrote one."""
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        if path.name != WORK or not path.is_dir():
            yield path.name
            continue
        yield from (
            f"{WORK}/{inner.name}" for inner in sorted(path.iterdir()) if inner.name not in (".lock", f".{RECORD}")
        )


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    if found.get("format") != wanted["format"]:
        return "by another version"
    before, now = found["files"], wanted["files"]
    if not before.items() & now.items():
        first = next(iter(before))  # masks come after the photos
        return f"of {first}" if len(before) == 1 else f"of other photos, those of a folder {first.partition('/')[0]}"
    for name, value in wanted["options"].items():
        if (earlier := found["options"].get(name)) != value:
            return f"with --{name.replace('_', '-')} {earlier}"
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            kind = "without" if name not in before else "with a" if name not in now else "with another"
            return f"{kind} {name}"
    return "otherwise"
