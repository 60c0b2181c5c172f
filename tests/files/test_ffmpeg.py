"""The ffmpeg for videos."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import pytest

from nerf_plugins.files import ffmpeg

WRITE_A_VIDEO = """
import sys
import numpy as np
from nerf_plugins.files.ffmpeg import ensure_ffmpeg

assert ensure_ffmpeg() is not None
assert "mediapy" not in sys.modules
import mediapy

frames = np.linspace(0.0, 1.0, 4 * 32 * 48 * 3).reshape(4, 32, 48, 3)
with mediapy.VideoWriter(path=sys.argv[1], shape=(32, 48), fps=4) as writer:
    for frame in frames:
        writer.add_image(frame)
"""


@pytest.fixture
def no_ffmpeg(monkeypatch, tmp_path):
    """A PATH without ffmpeg and an empty cache."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)
    assert shutil.which("ffmpeg") is None
    return tmp_path


def make_executable(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_an_ffmpeg_on_the_path_is_left_alone(no_ffmpeg, monkeypatch):
    there = make_executable(no_ffmpeg / "bin" / "ffmpeg")
    before = dict(os.environ)
    monkeypatch.setattr(ffmpeg, "bundled_ffmpeg", lambda: pytest.fail("looked for another ffmpeg"))
    assert ffmpeg.ensure_ffmpeg() == str(there)
    assert dict(os.environ) == before


def test_mediapy_writes_a_video_with_the_bundled_ffmpeg(no_ffmpeg):
    clip = no_ffmpeg / "clip.mp4"
    answer = subprocess.run([sys.executable, "-c", WRITE_A_VIDEO, str(clip)], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    reader = imageio_ffmpeg.read_frames(str(clip))
    assert next(reader)["size"] == (48, 32)
    assert len(list(reader)) == 4


def test_nerfstudio_finds_the_bundled_ffmpeg(no_ffmpeg):
    from nerfstudio.utils.install_checks import check_ffmpeg_installed

    ffmpeg.ensure_ffmpeg()
    check_ffmpeg_installed()  # exits where there is none


def test_the_fallback_goes_last_and_is_found_the_second_time(no_ffmpeg):
    first = ffmpeg.ensure_ffmpeg()
    path = os.environ["PATH"].split(os.pathsep)
    assert path[0] == str(no_ffmpeg / "bin")
    assert len(path) == 2
    assert first is not None
    assert Path(first).resolve() == ffmpeg.bundled_ffmpeg()
    assert ffmpeg.ensure_ffmpeg() == first
    assert os.environ["PATH"].split(os.pathsep) == path


@pytest.mark.parametrize("path", ["", None])
def test_an_empty_path_gets_no_empty_entry(no_ffmpeg, monkeypatch, path):
    if path is None:
        monkeypatch.delenv("PATH")
    else:
        monkeypatch.setenv("PATH", path)
    if shutil.which("ffmpeg"):
        pytest.skip("ffmpeg on the default PATH")
    assert ffmpeg.ensure_ffmpeg() is not None
    assert "" not in os.environ["PATH"].split(os.pathsep)


def test_a_link_to_a_removed_binary_is_replaced(no_ffmpeg):
    link = Path(str(ffmpeg.ensure_ffmpeg()))
    link.unlink()
    link.symlink_to(no_ffmpeg / "removed")
    os.environ["PATH"] = str(no_ffmpeg / "bin")
    assert ffmpeg.ensure_ffmpeg() == str(link)
    assert [file.name for file in link.parent.iterdir()] == ["ffmpeg"]


def test_where_the_cache_cannot_be_written_a_temporary_folder_is_used(no_ffmpeg, monkeypatch):
    (no_ffmpeg / "cache").write_text("a file, no folder")
    monkeypatch.setattr(ffmpeg.tempfile, "tempdir", str(no_ffmpeg))
    found = ffmpeg.ensure_ffmpeg()
    assert found is not None
    assert Path(found).parent.parent == no_ffmpeg


def test_where_links_are_forbidden_the_binary_is_copied(no_ffmpeg, monkeypatch):
    binary = make_executable(no_ffmpeg / "other-name")
    monkeypatch.setattr(ffmpeg, "bundled_ffmpeg", lambda: binary)

    def forbidden(self, target):
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", forbidden)
    found = ffmpeg.ensure_ffmpeg()
    assert found is not None
    assert not Path(found).is_symlink()
    assert Path(found).read_text() == binary.read_text()


@pytest.mark.parametrize("error", [ImportError("no imageio_ffmpeg"), RuntimeError("no exe"), OSError("broken")])
def test_nothing_is_raised_where_there_is_no_ffmpeg_at_all(no_ffmpeg, monkeypatch, error):
    def fails():
        raise error

    monkeypatch.setattr(ffmpeg, "bundled_ffmpeg", fails)
    before = dict(os.environ)
    assert ffmpeg.ensure_ffmpeg() is None
    assert dict(os.environ) == before
