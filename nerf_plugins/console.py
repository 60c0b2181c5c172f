"""Lines for the user on nerfstudio's console. They name files, so nothing in them is markup: a folder may be called ``[x]``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from nerfstudio.utils.rich_utils import CONSOLE
from rich.console import Console
from rich.errors import MissingStyle
from rich.text import Text


class Remark(NamedTuple):
    """A line on what was found."""

    line: str
    is_odd: bool = False
    """Whether it is probably not what the user means."""

    def print(self) -> None:
        """For the user; in yellow what is odd."""
        if _COLLECTIONS:
            _COLLECTIONS[-1].append(self)
            return
        style = "yellow" if self.is_odd else None
        CONSOLE.print(self.line, markup=False, highlight=False, emoji=False, soft_wrap=True, style=style)


_COLLECTIONS: list[list[Remark]] = []


def say(line: str) -> None:
    """Prints a line as it is; the console breaks none."""
    Remark(line).print()


def warn(line: str) -> None:
    """Prints a line that the user should read, in yellow."""
    Remark(line, is_odd=True).print()


@contextmanager
def collected() -> Iterator[list[Remark]]:
    """Gives a list for what this package says meanwhile, which is not printed; what others say on nerfstudio's console is not heard."""
    was_quiet, CONSOLE.quiet = CONSOLE.quiet, True
    _COLLECTIONS.append([])
    try:
        yield _COLLECTIONS[-1]
    finally:
        _COLLECTIONS.pop()
        CONSOLE.quiet = was_quiet


def keep_brackets(console: Console = CONSOLE) -> None:
    """Lets a console, nerfstudio's own lines too, print a ``[x]`` that names no style: rich drops it from a path. For good, and once."""
    if getattr(console, "_keeps_brackets", False):
        return
    render: Callable[..., Text] = console.render_str

    def escaped(match: re.Match[str]) -> str:
        return match[0] if _is_style(match[1].strip(), console) else f"\\{match[0]}"

    def render_str(text: str, *, markup: bool | None = None, **options: Any) -> Text:
        is_plain = markup is False or (markup is None and not console._markup)
        return render(text if is_plain else _TAG.sub(escaped, text), markup=markup, **options)

    console.render_str = render_str  # type: ignore[method-assign]
    console._keeps_brackets = True  # type: ignore[attr-defined]


_TAG = re.compile(r"(?<!\\)\[/?([a-z#@][^\[\]/]*)\]")


def _is_style(name: str, console: Console) -> bool:
    if name.startswith(("link", "@")):
        return True
    try:
        console.get_style(name)
    except MissingStyle:
        return False
    return True
