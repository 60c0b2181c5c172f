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


def test_of_other_photos_or_another_video_the_folder_is_named(tmp_path, photos):
    """Not the first of the files that differ, which is one of those that are given now."""
    video = tmp_path / "clips" / "walk.mp4"
    video.parent.mkdir()
    video.write_bytes(b"walk")
    with opened_output(tmp_path / "out", identity(options(tmp_path), photos)):
        pass
    with opened_output(tmp_path / "second", identity(options(tmp_path), [video])):
        pass
    with pytest.raises(InputError, match=r"out: was made of other photos, those of a folder photos; give another, or"):
        check_output(tmp_path / "out", identity(options(tmp_path, features=500), [video]))
    with pytest.raises(InputError, match=r"second: was made of clips/walk\.mp4; give another, or delete it"):
        check_output(tmp_path / "second", identity(options(tmp_path), photos))


def test_a_folder_of_something_else_is_refused(tmp_path, photos):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(InputError, match=r"out: has mine.txt in it, and nothing is overwritten"):
        check_output(tmp_path / "out", identity(options(tmp_path), photos))
    with pytest.raises(InputError, match=r"mine.txt: is a file"):
        check_output(tmp_path / "out" / "mine.txt", identity(options(tmp_path), photos))


def meet_a_broken_photo(folder: Path, wanted: dict) -> None:
    """As a call does that has written something."""
    with opened_output(folder, wanted) as work:
        for inner in (folder / "images", folder / "masks", work / "masks"):
            inner.mkdir(exist_ok=True)
            (inner / "a.png").touch()
        (work / "frames.json").touch()
        raise InputError("a photo is broken")


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["sparse/0/cameras.bin", "database.db", ""])
def test_a_colmap_folder_of_somebody_else_is_refused(tmp_path, photos, name):
    theirs = tmp_path / "out" / "colmap" / name if name else tmp_path / "out" / "colmap"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    shown = f"colmap/{name.split('/')[0]}".rstrip("/")
    with pytest.raises(InputError, match=rf"out: has {shown} in it, and nothing is overwritten; give another"):
        meet_a_broken_photo(tmp_path / "out", identity(options(tmp_path), photos))
    assert theirs.read_text() == "theirs"


@pytest.mark.parametrize("before", [[], ["out"], ["out", "out/colmap"], ["out", "out/colmap", "out/colmap/.lock"]])
def test_a_bad_photo_takes_back_what_its_call_has_made_and_no_more(tmp_path, photos, before):
    for name in before:
        (tmp_path / name).touch() if name.endswith(".lock") else (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="broken"):
        meet_a_broken_photo(tmp_path / "out", identity(options(tmp_path), photos))
    out = {f"out/{name}" for name in files_in(tmp_path / "out")} | ({"out"} if (tmp_path / "out").exists() else set())
    assert out == {*before} - {"out/colmap/.lock"}


def test_a_bad_photo_of_a_later_call_leaves_what_an_earlier_one_has_made(tmp_path, photos):
    wanted = identity(options(tmp_path), photos)
    with opened_output(tmp_path / "out", wanted):
        (tmp_path / "out" / "images").mkdir()
        (tmp_path / "out" / "images" / "earlier.png").touch()
    there = files_in(tmp_path)
    with pytest.raises(InputError, match="broken"):
        meet_a_broken_photo(tmp_path / "out", wanted)
    assert files_in(tmp_path) >= there


def test_two_at_once_are_refused(tmp_path, photos):
    wanted = identity(options(tmp_path), photos)
    with (
        opened_output(tmp_path / "out", wanted),
        pytest.raises(InputError, match="another process-data is at work"),
        opened_output(tmp_path / "out", wanted),
    ):
        pass
