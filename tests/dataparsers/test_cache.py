import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from nerf_plugins.dataparsers import cache


def build(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "a.txt").write_text("first")
    (folder / "b.txt").write_text("second")


def hidden(place):
    """What is beside the folder."""
    return [p.name for p in place.iterdir() if p.name != "made"]


def test_builds_once(tmp_path):
    folder = tmp_path / "deep" / "made"
    assert cache.ensure(folder, build)
    assert (folder / "sub" / "a.txt").read_text() == "first"
    assert not cache.ensure(folder, lambda _: pytest.fail("built again"))
    assert hidden(folder.parent) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "sub" / "a.txt").unlink(),
        lambda f: (f / "sub" / "a.txt").write_text("firsT"),
        lambda f: (f / "b.txt").write_text(""),
        lambda f: (f / cache.MANIFEST).unlink(),
        lambda f: (f / cache.MANIFEST).write_text('{"crc32": {"b.txt'),
        lambda f: (f / cache.MANIFEST).write_text("[]"),
        lambda f: (f / cache.MANIFEST).write_text(json.dumps({"crc32": {}})),
    ],
)
def test_damage_is_found_and_mended(tmp_path, damage):
    folder = tmp_path / "made"
    cache.ensure(folder, build)
    damage(folder)
    assert not cache.is_complete(folder)
    assert cache.ensure(folder, build)
    assert cache.is_complete(folder)
    assert (folder / "sub" / "a.txt").read_text() == "first"
    assert hidden(tmp_path) == []


def test_a_file_in_its_place_is_replaced(tmp_path):
    (tmp_path / "made").write_text("in the way")
    assert cache.ensure(tmp_path / "made", build)
    assert cache.is_complete(tmp_path / "made")
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("problem", [KeyboardInterrupt, OSError, SystemExit])
def test_an_interrupt_leaves_nothing_behind(tmp_path, problem):
    def interrupted(folder):
        build(folder)
        raise problem

    with pytest.raises(problem):
        cache.ensure(tmp_path / "made", interrupted)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_keeps_what_was_there(tmp_path):
    def interrupted(folder):
        raise KeyboardInterrupt

    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "notes.txt").write_text("of the user")
    with pytest.raises(KeyboardInterrupt):
        cache.ensure(tmp_path / "made", interrupted)
    assert (tmp_path / "made" / "notes.txt").read_text() == "of the user"
    assert hidden(tmp_path) == []


def test_runs_at_once_end_with_one_complete_folder(tmp_path):
    together = Barrier(3, timeout=10)

    def slow(folder):
        build(folder)
        together.wait()

    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(cache.ensure, tmp_path / "made", slow) for _ in range(3)]
        assert all(run.result() for run in runs)
    assert cache.is_complete(tmp_path / "made")
    assert hidden(tmp_path) == []
