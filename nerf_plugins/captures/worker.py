"""Runs the reconstructing process: shows how far it is, and turns its end into a result or one line."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nerf_plugins.captures.job import Job, OnProgress, Reconstruction, read_reconstruction
from nerf_plugins.errors import InputError

INSTALL = 'pip install -e ".[process]" in the package\'s folder'
VERSION = "4"
"""Of pycolmap; earlier ones cannot match a given list of pairs."""


def check_installed() -> None:
    """Looks for pycolmap without importing it: see `reconstruction.py`.

    Raises:
        InputError: it is not there, or of another version; says how to get it.
    """
    found = installed_version()
    if found is None:
        raise InputError(f"pycolmap, which finds the cameras' poses, is not installed: {INSTALL}")
    if found.partition(".")[0] != VERSION:
        raise InputError(f"pycolmap {found} is installed and {VERSION} is needed: {INSTALL}")


def installed_version() -> str | None:
    """Of pycolmap; None where it is not installed."""
    try:
        return importlib.metadata.version("pycolmap")
    except importlib.metadata.PackageNotFoundError:
        return None


def run(job: Job, on_progress: OnProgress) -> Reconstruction:
    """Reconstructs, going on where an earlier process was stopped.

    Raises:
        InputError: the photos give no reconstruction, or the process died.
    """
    if not job.has_result:
        path, log = job.folder / "reconstruction_job.json", job.folder / "log.txt"
        job.write(path)
        with log.open("ab") as errors, _process(path, errors) as process:
            failure = _follow(process.stdout, on_progress)
            code = process.wait()
        if failure:
            raise InputError(failure)
        if code != 0:
            raise InputError(f"COLMAP stopped (exit code {code}): {_last_line(log)}; the whole log is {log}")
    return read_reconstruction(job.result)


@contextmanager
def _process(job: Path, errors: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The process; it is ended with the block, and by its stdin with this process."""
    command = [sys.executable, "-m", "nerf_plugins.captures.reconstruction", str(job)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()


def _follow(lines: Any, on_progress: OnProgress) -> str | None:
    """Reads the process's lines to their end; returns its error, if it said one."""
    failure = None
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # COLMAP's own
            continue
        if "error" in event:
            failure = event["error"]
        else:
            on_progress(event["stage"], event["done"], event["total"])
    return failure


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
