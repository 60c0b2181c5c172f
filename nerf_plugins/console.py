"""Lines for the user on nerfstudio's console. They name files, so nothing in them is markup: a folder may be called ``[x]``."""

from __future__ import annotations

from nerfstudio.utils.rich_utils import CONSOLE


def say(line: str) -> None:
    """Prints a line as it is; the console breaks none."""
    CONSOLE.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)


def warn(line: str) -> None:
    """Prints a line that the user should read, in yellow."""
    CONSOLE.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True, style="yellow")
