"""The output folder: gone on with, or refused."""

from pathlib import Path

import pytest

from nerf_plugins.captures.options import ProcessDataOptions
from nerf_plugins.captures.output import check_output, identity, opened_output
from nerf_plugins.errors import InputError


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / name for name in ("a.jpg", "b.jpg")]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    return paths


def options(tmp_path, **changes) -> ProcessDataOptions:
    return ProcessDataOptions(data=tmp_path / "photos", output_dir=tmp_path / "out", **changes)


def test_the_same_photos_and_options_go_on(tmp_path, photos):
    for dry in (False, True):
        with opened_output(
            tmp_path / "out", identity(options(tmp_path, dry_run=dry, min_registered=0.1), photos)
        ) as work:
            assert work == tmp_path / "out" / "colmap"


def test_other_photos_or_options_are_refused_and_named(tmp_path, photos):
    with opened_output(tmp_path / "out", identity(options(tmp_path), photos)):
        pass

    def refusal(found: list[Path], **changes) -> str:
        with pytest.raises(InputError) as e:
            check_output(tmp_path / "out", identity(options(tmp_path, **changes), found))
        return str(e.value)

    assert "was made with --features 4096; give another" in refusal(photos, features=500)
    assert "was made with a photos/b.jpg" in refusal(photos[:1])
    photos[1].write_bytes(b"B" + photos[1].read_bytes()[1:])
    assert "was made with another photos/b.jpg" in refusal(photos)


def test_a_folder_of_something_else_is_refused(tmp_path, photos):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(InputError, match=r"out: has mine.txt in it, and nothing is overwritten"):
        check_output(tmp_path / "out", identity(options(tmp_path), photos))
    with pytest.raises(InputError, match=r"mine.txt: is a file"):
        check_output(tmp_path / "out" / "mine.txt", identity(options(tmp_path), photos))


def test_two_at_once_are_refused(tmp_path, photos):
    wanted = identity(options(tmp_path), photos)
    with (
        opened_output(tmp_path / "out", wanted),
        pytest.raises(InputError, match="another process-data is at work"),
        opened_output(tmp_path / "out", wanted),
    ):
        pass
