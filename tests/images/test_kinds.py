"""Which files are photos, and which videos."""

from pathlib import Path

from nerf_plugins.captures import video
from nerf_plugins.images.kinds import VIDEOS, photos_in, videos_in


def test_files_are_told_by_their_endings(tmp_path):
    for name in ("b.JPG", "a.heic", ".hidden.jpg", "walk.MOV", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere")
    assert [path.name for path in photos_in(tmp_path)] == ["a.heic", "b.JPG", "lost.png"]
    assert [path.name for path in videos_in(tmp_path)] == ["walk.MOV"]


def test_what_is_named_as_a_video_is_read_as_one():
    assert all(video.is_video(Path(f"walk{ending}")) for ending in VIDEOS)
    assert not video.is_video(Path("walk.jpg"))
