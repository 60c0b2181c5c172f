"""Files that are whole at any time, whoever else writes them."""

import threading
from pathlib import Path

import pytest

from nerf_plugins.errors import InputError
from nerf_plugins.new_files import new_file, update_csv


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


def test_a_new_file_is_whole_or_not_there(tmp_path: Path):
    path = tmp_path / "deep" / "x.txt"

    def half_of_it() -> None:
        with new_file(path, "--out") as part:
            part.write_text("half")
            raise OSError("full")

    with pytest.raises(InputError, match=r"cannot be written .*give another --out"):
        half_of_it()
    assert list(path.parent.iterdir()) == []
    with new_file(path, "--out") as part:
        part.write_text("whole")
    assert path.read_text() == "whole"
    with pytest.raises(InputError, match="is not overwritten"), new_file(path, "--out"):
        pass
