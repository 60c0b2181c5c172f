import io

import pytest
from rich.console import Console
from rich.table import Table

from nerf_plugins.console import keep_brackets


def printed(*what, **options) -> str:
    console = Console(file=io.StringIO(), width=200)
    keep_brackets(console)
    keep_brackets(console)  # once is enough
    console.print(*what, **options)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rstrip("\n")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("/data/path [x] (été) 狐/config.yml", "/data/path [x] (été) 狐/config.yml"),
        ("/data/a[/x]", "/data/a[/x]"),
        ("[bold green]done[/bold green] in /a [x]", "done in /a [x]"),
        ("[yellow]careful", "careful"),
        ("[bold]a[/] b", "a b"),
        ("[link=https://example.org]there[/link]", "there"),
        (r"\[bold] stays", "[bold] stays"),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_brackets_that_are_no_markup_stay(line: str, shown: str):
    assert printed(line) == shown
    assert printed(line, markup=False) == line


def test_in_a_table_too():
    table = Table(show_header=False)
    table.add_row("Config File", "/data/[x]/config.yml")
    assert "/data/[x]/config.yml" in printed(table)
