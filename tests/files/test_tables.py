"""Tables."""

import threading
from pathlib import Path

from nerf_plugins.files.tables import markdown_table, update_csv


def test_two_writers_of_one_table_do_not_meet(tmp_path: Path):
    path, errors = tmp_path / "table.csv", []
    rows = [{"a": i} for i in range(200)]

    def write() -> None:
        try:
            for _ in range(100):
                update_csv(path, ["a"], rows)
        except OSError as e:
            errors.append(e)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert errors == []
    assert path.read_text().split() == ["a", *map(str, range(200))]
    assert list(tmp_path.iterdir()) == [path]


def test_a_markdown_table():
    assert markdown_table([["a", "b"], ["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
