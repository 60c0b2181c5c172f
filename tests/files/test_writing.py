"""Files that are whole at any time, whoever else writes them."""

from pathlib import Path

import pytest

from nerf_plugins.errors import InputError
from nerf_plugins.files.writing import new_file


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
