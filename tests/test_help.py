"""What the options' docstrings look like in --help."""

import ast
from collections.abc import Iterator
from pathlib import Path

import nerf_plugins

PACKAGE = Path(nerf_plugins.__file__).parent


def options() -> Iterator[tuple[str, str]]:
    """Names and docstrings of all dataclasses' fields."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef) or not any(
                "dataclass" in ast.unparse(d) for d in node.decorator_list
            ):
                continue
            for field, text in zip(node.body, node.body[1:]):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                ):
                    yield f"{node.name}.{ast.unparse(field.target)}", str(text.value.value)


def test_lines_end_where_sentences_do():
    """tyro keeps the line breaks of a field's docstring, and wraps the lines besides."""
    broken = [
        f"{name}: ...{line[-30:]}"
        for name, text in options()
        for line in text.splitlines()[:-1]
        if not line.endswith((".", ":"))
    ]
    assert broken == []
