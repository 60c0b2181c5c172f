"""The one exception for what the user gave us and can mend, and how its messages name what may have been meant."""

import difflib
from collections.abc import Iterable


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
