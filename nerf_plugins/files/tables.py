"""Tables as CSV files and as markdown."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nerf_plugins.files.writing import whole_file


def update_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a table in the place of its earlier state; the file is whole at any time.

    Args:
        path: of the file.
        columns: in their order; a row may lack some.
        rows: by the columns' names.
    """
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """A markdown table of a header and rows."""
    header, *rest = lines
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *rest])
