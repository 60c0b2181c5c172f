"""What must not be broken off, and what is made once and kept."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TypeVar

Made = TypeVar("Made")

_making = threading.RLock()


@contextmanager
def untraced() -> Iterator[None]:
    """Without this thread's trace function.

    nerfstudio's viewer breaks a picture off by one that raises between any two lines. What was half done then stays so: locks taken,
    modules half loaded. And in foreign code the exception may become another.
    """
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(trace)


@contextmanager
def undisturbed() -> Iterator[None]:
    """:func:`untraced`, and one thread at a time: Warp makes and loads kernels for one, and each page of the viewer has one of its own."""
    with untraced(), _making:
        yield


def made_once(make: Callable[..., Made]) -> Callable[..., Made]:
    """A function's results, each made when its arguments (positional, hashable) are first given, :func:`undisturbed`."""
    made: dict[tuple, Made] = {}

    @wraps(make)
    def get(*key: object) -> Made:
        if key not in made:
            with undisturbed():
                if key not in made:
                    made[key] = make(*key)
        return made[key]

    return get
