"""Probes and what they find.

A probe is a function from its name to a :class:`Finding`. A probe that raises is a finding too: ``broken``. Nothing heavy is imported
before a probe needs it.
"""

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "missing", "optional", "broken"]
"""optional: not there, or of no use here, and nothing that our methods need."""


@dataclass(frozen=True)
class Finding:
    """What a probe found: one row of the table."""

    name: str
    status: Status
    detail: str
    advice: str = ""


@dataclass(frozen=True)
class Probe:
    """A check by name. ``advice`` is given when it raises; without a ``required`` one no method can be trained."""

    name: str
    run: Callable[[str], Finding]
    required: bool = False
    advice: str = ""


def look(probe: Probe) -> Finding:
    """Runs a probe; nothing that it raises or prints gets out."""
    output = io.StringIO()  # what an import prints would spoil the table and the JSON
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return probe.run(probe.name)
    except (Exception, SystemExit) as error:
        return Finding(probe.name, "broken", first_line(error), probe.advice)


def first_line(error: BaseException) -> str:
    """An error in one line."""
    message = str(error).strip()
    return f"{type(error).__name__}: {message.splitlines()[0]}" if message else type(error).__name__
