"""What the user can mend ends the program in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nerf_plugins.errors import InputError


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the program with the message, not a traceback, where the user's input is at fault."""
    try:
        yield
    except InputError as e:
        raise SystemExit(f"nerf-plugins: {e}") from e
    except FileNotFoundError as e:
        advice = "Check --data and the dataparser's name."
        raise SystemExit(f"nerf-plugins: no such file or folder: {e.filename or e}. {advice}") from e
    except OSError as e:  # PIL names no file
        what = e.filename or "an image of the data"
        raise SystemExit(f"nerf-plugins: {what} cannot be read ({e.strerror or e}): replace it") from e
