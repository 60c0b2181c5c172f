"""What must not be broken off, and what is made once and kept."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from typing import Generic, TypeVar

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


class MadeOnce(Generic[Made]):
    """A function's results, each made when its arguments are first given, :func:`undisturbed`."""

    def __init__(self, make: Callable[..., Made]) -> None:
        self._make = make
        self._made: dict[tuple, Made] = {}
        update_wrapper(self, make)

    def __call__(self, *args: Hashable, **options: Hashable) -> Made:
        """The result for these arguments."""
        key = (args, *sorted(options.items()))
        if key not in self._made:
            with undisturbed():
                if key not in self._made:
                    self._made[key] = self._make(*args, **options)
        return self._made[key]

    def cache_clear(self) -> None:
        """Forgets all, as functools' caches do."""
        self._made.clear()
