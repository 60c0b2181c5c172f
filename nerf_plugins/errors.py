"""The one exception for what the user gave us and can mend, and how its messages name what may have been meant."""

import difflib
from collections.abc import Iterable
from pathlib import Path


class InputError(ValueError):
    """A problem with the data, an option or a checkpoint.

    The message is one line that says what is wrong, where, and what to do. The commands print it without a traceback and
    exit with a code that is not 0.
    """


def near(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The end of a message on an unknown name: the ones it is near to, after a prefix, or else all of them."""
    known = sorted(known)
    close = [prefix + match for match in difflib.get_close_matches(name, known, n=3)]
    return f": did you mean {' or '.join(close)}?" if close else f": known are {', '.join(known)}"


def near_path(path: Path) -> str:
    """What follows "does not exist" in a message on a path: the one that may have been meant, where a name beside it is near to its own.

    Of a longer path the first name that is not there counts; the rest has to be below the other one.
    """
    try:
        first = next(part for part in (*reversed(path.parents), path) if not part.exists())
        beside = {item.name.lower(): item for item in sorted(first.parent.iterdir())}
        for close in difflib.get_close_matches(first.name.lower(), beside, n=3):
            meant = beside[close] / path.relative_to(first)
            if meant.exists():
                return f" (did you mean {meant}?)"
    except (OSError, StopIteration):  # what may not be looked into has no names
        pass
    return ""
