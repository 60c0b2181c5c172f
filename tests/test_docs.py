"""README.md and docs/: links, commands, quoted messages, the table of what there is, the snippet, and figures that must be equal."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
import itertools
import re
import shlex
import sys
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union

import pytest
import torch

from nerf_plugins import cli

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted([README, *(ROOT / "docs").rglob("*.md")])
OURS = "nerf-plugins"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What can follow a # in a link to the page: GitHub's anchors of its headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    bare = [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in bare}


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command line in the page's bash blocks, comments and placeholders of paths taken out."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for joins, command in itertools.groupby(words, "&&".__eq__):
                if not joins:
                    yield list(command)


# Command lines.


class Unknown(AssertionError):
    """A command line names what there is not."""


def inner(kind: Any) -> Any:
    """A type without Annotated and Optional, where one dataclass is left."""
    while typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (Union, UnionType):
        options = [inner(option) for option in typing.get_args(kind)]
        found = [option for option in options if dataclasses.is_dataclass(option)]
        return found[0] if len(found) == 1 else options
    return kind


def has_option(kind: Any, value: Any, words: list[str]) -> bool:
    """Whether a dataclass (its type, or an object with the values that the method gives it) has an option a.b.c."""
    for word in words:
        if isinstance(value, dict):  # the optimisers, by parameter group
            if word not in value:
                return False
            value = value[word]
            kind = type(value)
            continue
        known = type(value) if dataclasses.is_dataclass(value) else kind
        if not dataclasses.is_dataclass(known) or word not in {field.name for field in dataclasses.fields(known)}:
            return False
        kind, value = inner(typing.get_type_hints(known).get(word)), getattr(value, word, None)
    return True


def options_in(words: list[str]) -> list[str]:
    return [word.partition("=")[0].removeprefix("--") for word in words if word.startswith("--")]


def check_options(command: str, known: Any, words: list[str]) -> None:
    kind, value = (known, None) if isinstance(known, type) else (type(known), known)
    for option in options_in(words):
        if not has_option(kind, value, option.replace("-", "_").split(".")):
            raise Unknown(f"{command} has no option --{option}")


def check_ns_train(words: list[str]) -> None:
    """ns-train METHOD OPTIONS [DATAPARSER OPTIONS]."""
    from nerfstudio.configs.dataparser_configs import all_dataparsers
    from nerfstudio.configs.method_configs import all_methods

    method, *rest = words
    if method not in all_methods:
        raise Unknown(f"ns-train knows no method {method}")
    if rest == ["--help"]:
        return
    at = next((i for i, word in enumerate(rest) if word.endswith("-data") and not word.startswith("--")), len(rest))
    if at < len(rest) and rest[at] not in all_dataparsers:
        raise Unknown(f"ns-train knows no dataparser {rest[at]}")
    given = [option for option in rest[:at] if option != "--data"]
    check_options(f"ns-train {method}", all_methods[method], given)
    if at < len(rest):
        check_options(f"ns-train {method} {rest[at]}", all_dataparsers[rest[at]], rest[at + 1 :])


@cache
def help_of(command: tuple[str, ...]) -> str:
    """What nerf-plugins COMMAND [SHAPE] --help prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, pytest.raises(SystemExit):
        cli.main([*command, "--help"])
    return printed.getvalue()


def check_ours(words: list[str]) -> None:
    """nerf-plugins COMMAND [SHAPE] OPTIONS."""
    command, *rest = words
    if command not in cli.COMMANDS:
        raise Unknown(f"{OURS} has no command {command}")
    shapes = re.match(r"usage: \S+ \S+ \[-h\]\s+\{(.+?)\}", help_of((command,)), re.DOTALL)
    called = (command,)
    if shapes is not None:
        if not rest or rest[0] not in re.split(r"[,\s]+", shapes[1]):
            raise Unknown(f"{OURS} {command} needs one of {shapes[1]}, has {rest[:1]}")
        called = (command, rest[0])
    for option in options_in(rest):
        if not re.search(rf"--{option}(?![\w-])", help_of(called)):
            raise Unknown(f"{OURS} {' '.join(called)} has no option --{option}")


def check_script(script: str, words: list[str]) -> None:
    """python SCRIPT OPTIONS: the script is there, and says the options' names in its source."""
    if not (ROOT / script).is_file():
        raise Unknown(f"there is no {script}")
    source = (ROOT / script).read_text(encoding="utf-8")
    for option in options_in(words):
        names = (rf"\b{option.replace('-', '_')}: ", rf'name="{option}"', rf'"--{option}"')
        if not any(re.search(name, source) for name in names):
            raise Unknown(f"{script} has no option --{option}")


def check(words: list[str]) -> None:
    """Checks one command line.

    Raises:
        Unknown: it names what there is not.
    """
    while words and re.match(r"^[A-Z_]+=", words[0]):
        words = words[1:]
    if words[0] == "ns-train":
        check_ns_train(words[1:])
    elif words[0] == OURS:
        check_ours(words[1:])
    elif words[0] == "python" and words[1:2] and words[1].endswith(".py"):
        check_script(words[1], words[2:])
    elif words[0].startswith("scripts/") and not (ROOT / words[0]).is_file():
        raise Unknown(f"there is no {words[0]}")


# tests/test_extending.py runs the commands of docs/extending, whose method is in these pages.
@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "extending"], ids=name_of)
def test_every_command_names_what_there_is(page: Path):
    for words in commands(page):
        check(words)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ns-train nerf-hash demo-data", "no method nerf-hash"),
        ("ns-train nerf-hash-custom demos-data", "no dataparser demos-data"),
        ("ns-train nerf-hash-custom --pipeline.model.spaces box demo-data", "no option --pipeline.model.spaces"),
        ("ns-train nerf-hash-custom --pipeline.model.field.encoding.n-level 3 demo-data", "encoding.n-level"),
        ("ns-train neus-hash-custom --optimizers.variance.scheduler.rise 3 demo-data", "scheduler.rise"),
        ("ns-train neus-hash-custom demo-data --resolutions 64", "no option --resolutions"),
        ("nerf-plugins meshes", "no command meshes"),
        ("nerf-plugins mesh --size 3", "no option --size"),
        ("nerf-plugins camera-path circle", "needs one of orbit"),
        ("nerf-plugins camera-path orbit --angles 3", "no option --angles"),
        ("python scripts/bench_all.py", "no scripts/bench_all.py"),
        ("python scripts/bench_layers.py --columns 3", "no option --columns"),
    ],
)
def test_what_there_is_not_is_found(line: str, message: str):
    with pytest.raises(Unknown, match=message):
        check(shlex.split(line))


def test_the_recipe_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (recipe,) = blocks(ROOT / "docs" / "guides" / "sweeps_and_tables.md", "yaml")
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe)
    with pytest.raises(SystemExit):  # 1: nothing has been trained yet
        cli.main(["sweep", str(path), "--dry-run"])
    assert "error" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("page", "before"),
    [
        ("README.md", "nerf-plugins process-data"),
        ("docs/guides/process_data.md", "nerf-plugins process-data"),
        ("docs/guides/own_photos.md", "nerf-plugins doctor path/to/capture\n"),
    ],
)
def test_the_training_after_process_data_is_the_one_that_it_prints(page: str, before: str):
    """Of photos, on a machine without a GPU; the guide quotes process-data and the doctor."""
    guide = (ROOT / "docs" / "guides" / "own_photos.md").read_text(encoding="utf-8")
    (printed,) = set(re.findall(r"^  ns-train photos-\S+ --data path/to/capture (.+)$", guide, re.MULTILINE))
    (block,) = (block for block in blocks(ROOT / page, "bash") if before in block)
    assert re.findall(r"^ns-train photos-nerf-custom --data \S+ (.+)$", block, re.MULTILINE) == [printed]


# Links.


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_to():
    links = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+)\)", prose(page))
    }
    assert [name_of(page) for page in PAGES if page != README and page.resolve() not in links] == []


def test_every_picture_is_shown():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    pictures = [path for path in (ROOT / "docs" / "images").rglob("*") if path.is_file()]
    assert len(pictures) >= 10
    assert [path.name for path in pictures if path.name not in text] == []


# Messages.


def our_texts() -> Iterator[str]:
    """All strings of the package's source; … for what is filled in."""
    for path in sorted((ROOT / "nerf_plugins").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_quoted_messages_are_those_of_the_program():
    """In the tables of troubleshooting.md, what is quoted as code with a blank in it is a message, but for commands."""
    page = ROOT / "docs" / "guides" / "troubleshooting.md"
    rows = re.findall(r"^\| (.*?) \|", prose(page), re.MULTILINE)
    quoted = [message for row in rows for message in re.findall(r"`(.+?)`", row) if " " in message]
    messages = [message for message in quoted if not message.startswith(("ns-", OURS))]
    texts = list(our_texts())
    assert len(messages) >= 25
    unknown = []
    for message in messages:
        fixed = [re.escape(part.strip()) for part in message.split("…") if part.strip()]
        if not any(re.search(".*".join(fixed), text, re.DOTALL) for text in texts):
            unknown.append(message)
    assert unknown == []


# What the README says.


def test_the_table_has_all_that_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]
    installed = {*points["nerfstudio.method_configs"], *points["nerfstudio.dataparser_configs"], *cli.COMMANDS}
    table = README.read_text(encoding="utf-8").partition("## What there is")[2].partition("\n## ")[0]
    listed = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    names = {name.removeprefix(f"{OURS} ") for cell in listed for name in re.findall(r"`(.+?)`", cell)}
    assert names == installed


def test_the_snippet_runs():
    (snippet,) = blocks(README, "python")
    names: dict[str, Any] = {}
    exec(compile(snippet, "README.md", "exec"), names)
    assert "# 0.99 and 0" in snippet
    # Through a ball of radius 0.6 (of cells 1/16 wide) at density 4: 1 - exp(-4 * 1.2).
    assert float(names["seen"].accumulation[0].detach()) == pytest.approx(0.99, abs=0.005)
    assert float(names["seen"].accumulation[1].detach()) == 0.0
    assert names["sigmas"].grad.isfinite().all()
    assert torch.equal(names["samples"].packed_info[1, 1], torch.tensor(0, dtype=torch.int32))


def test_its_figures_are_those_of_the_benchmarks():
    costs = README.read_text(encoding="utf-8").partition("## What it costs")[2].partition("\n## ")[0]
    benchmarks = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    figures = re.findall(r"\d+\.\d+ (?:dB|s|min|%)", costs)
    assert len(figures) >= 8
    assert [figure for figure in figures if figure not in benchmarks.replace("**", "")] == []
