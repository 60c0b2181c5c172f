"""What the rooms of the package import, against the table in docs/architecture.md."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nerf_plugins

PACKAGE = Path(nerf_plugins.__file__).parent
TABLE = PACKAGE.parent / "docs" / "architecture.md"
EVERYTHING_BELOW = "everything below"


def table() -> dict[str, list[str]]:
    """Room (a folder or a file of the package) -> the rooms that it may import, in the table's order."""
    rooms = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 3 and re.match(r"`\w+(/|\.py)`", cells[0]):
            for room in re.findall(r"`(\w+)(?:/|\.py)`", cells[0]):
                rooms[room] = re.findall(r"`([\w/]+?)(?:/|\.py)`", cells[2])
                if cells[2] == EVERYTHING_BELOW:
                    rooms[room] = [EVERYTHING_BELOW]
    order = list(rooms)
    for room, allowed in rooms.items():
        if allowed == [EVERYTHING_BELOW]:
            rooms[room] = order[order.index(room) + 1 :]
    return rooms


ROOMS = table()


def modules() -> list[tuple[str, Path]]:
    """All modules but the package's own, as ``room/name`` and path."""
    paths = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
    return [(path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__"), path) for path in paths]


def imported(node: ast.AST) -> Iterator[str]:
    """Dotted names of the modules (or of what is taken from them) that a tree imports."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative import"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)


def of_package(names: Iterator[str]) -> Iterator[str]:
    """Those of this package, as ``room/name/...``."""
    return (name.partition(".")[2].replace(".", "/") for name in names if name.startswith("nerf_plugins."))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_every_room_is_in_the_table():
    assert {name.split("/")[0] for name, _ in modules()} == set(ROOMS)


def test_rooms_import_what_is_below_them():
    order = list(ROOMS)
    upwards = [
        f"{room} may import {other}"
        for room, allowed in ROOMS.items()
        for other in allowed
        if order.index(other.split("/")[0]) <= order.index(room)
    ]
    assert upwards == []


@pytest.mark.parametrize("room", ROOMS)
def test_imports_are_allowed(room: str):
    allowed = [room, "errors", "wording", *ROOMS[room]]
    broken = [
        f"{module} imports {name}"
        for module, path in modules()
        if module.split("/")[0] == room
        for name in of_package(imported(parsed(path)))
        if not any(name == other or name.startswith(f"{other}/") for other in allowed)
    ]
    assert broken == []


def test_ops_load_the_kernels_at_the_first_call():
    """At a module's top an import would load Warp for whoever only wants a config."""
    at_top = [
        f"{module} imports {name}"
        for module, path in modules()
        if module.startswith("ops")
        for statement in parsed(path).body
        if isinstance(statement, (ast.Import, ast.ImportFrom))
        for name in imported(statement)
        if name.split(".")[0] == "warp" or name.startswith("nerf_plugins.kernels")
    ]
    assert at_top == []


@pytest.mark.parametrize(
    ("room", "allowed"),
    [("scenes", {"numpy"}), ("kernels", {"warp"}), ("errors", set()), ("wording", set()), ("calls", {"torch"})],
)
def test_rooms_without_the_rest_of_the_world(room: str, allowed: set[str]):
    known = {"nerf_plugins", "jaxtyping", *sys.stdlib_module_names}
    for module, path in modules():
        if module.split("/")[0] == room:
            others = {name.split(".")[0] for name in imported(parsed(path))} - known
            assert others <= (allowed | {"torch"} if module == "kernels/launch" else allowed), module
