"""Which frames of a video are chosen, and how they are written."""

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from nerf_plugins.captures import video
from nerf_plugins.errors import InputError
from nerf_plugins.files.ffmpeg import bundled_ffmpeg
from tests.captures.made_scene import arc, picture

SIZE, FOCAL = (160, 120), 150.0
BLURRED = [i for i in range(60) if i % 6 in (1, 2, 4)]


def write_video(path: Path, pictures: list[np.ndarray], times: list[int] | None = None) -> Path:
    """At 30 frames a second, or at given 30ths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "12"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 30)
        for i, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = i if times is None else times[i], Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def sharp() -> list[np.ndarray]:
    return [picture(pose, SIZE, FOCAL) for pose in arc(60)]


@pytest.fixture(scope="module")
def shaken(sharp, tmp_path_factory) -> Path:
    """Half of the frames are blurred."""
    pictures = [cv2.blur(p, (9, 1)) if i in BLURRED else p for i, p in enumerate(sharp)]
    return write_video(tmp_path_factory.mktemp("video") / "shaken.mp4", pictures)


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


def chosen(path: Path, count: int) -> list[int]:
    return video.select_frames(video.score_frames(path, silent), count).chosen


def test_blurred_frames_are_not_chosen(shaken):
    found = chosen(shaken, 12)
    assert set(found).isdisjoint(BLURRED)
    assert len(found) >= 11
    assert max(np.diff(found)) <= 12


def test_a_camera_at_rest_gives_no_duplicates(sharp, tmp_path):
    path = write_video(tmp_path / "rests.mp4", [*sharp[:30], *[sharp[30]] * 60, *sharp[30:]])
    found = chosen(path, 20)
    assert sum(30 <= i < 90 for i in found) <= 1
    before, after = sum(i < 30 for i in found), sum(i >= 90 for i in found)
    assert before >= 8
    assert after >= 8


def test_coverage_follows_the_camera_not_the_clock(sharp, tmp_path):
    times = [i if i < 30 else 30 + 10 * (i - 30) for i in range(60)]
    path = write_video(tmp_path / "slower.mp4", sharp, times)
    scores = video.score_frames(path, silent)
    assert scores.times[-1] == pytest.approx(times[-1] / 30, abs=0.05)
    found = video.select_frames(scores, 12).chosen
    assert 5 <= sum(i < 30 for i in found) <= 7


def test_of_a_long_blurred_stretch_each_third_frame_is_kept(sharp):
    grey = np.stack([cv2.resize(p, (64, 48))[..., 0] for p in sharp]).astype(float)
    sharpness = np.ones(60)
    sharpness[20:32] = 0.1
    sharpness[[21, 25, 27]] = 0.2
    kept = video._without_blurred([*range(60)], video.FrameScores(np.arange(60) / 30, sharpness, grey))
    assert [i for i in kept if 20 <= i < 32] == [21, 25, 27, 29]
    assert len(kept) == 48 + 4
    sharpness[20:32] = np.where(np.arange(12) < 2, 0.1, 1.0)
    kept = video._without_blurred([*range(60)], video.FrameScores(np.arange(60) / 30, sharpness, grey))
    assert sorted({*range(60)} - {*kept}) == [20, 21]


def test_beside_a_gap_of_blurred_frames_the_sharp_ones_are_taken():
    """In windows of two, 16 and 17 are blurred; the sharpest before and after are 14 and 19, five steps apart. 15 comes in."""
    index = np.arange(60)
    grey = np.tile(index[:, None, None] * 4.0, (1, 4, 4))
    sharpness = np.where(np.isin(index % 7, (2, 3)), 0.1, np.where(np.isin(index % 7, (0, 5)), 1.2, 1.0))
    found = video.select_frames(video.FrameScores(index / 30, sharpness, grey), 30).chosen
    assert not set(found) & set(np.flatnonzero(sharpness < 1))
    assert {14, 15, 19} <= set(found)
    assert max(np.diff(found)) == 4
    assert len(found) == 30


def test_no_frames_come_in_where_none_is_missing():
    index = np.arange(60)
    scores = video.FrameScores(
        index / 30, np.where(index % 2, 1.0, 0.9), np.tile(index[:, None, None] * 4.0, (1, 4, 4))
    )
    assert video.select_frames(scores, 15).chosen == [*range(1, 60, 4)]


def test_frames_are_turned_as_a_player_turns_them(sharp, tmp_path):
    turned = turned_by(90, write_video(tmp_path / "plain.mp4", sharp[:3]))
    video.write_frames(turned, {1: tmp_path / "frame.jpg"}, silent)
    found = np.asarray(Image.open(tmp_path / "frame.jpg").convert("L")).astype(float)
    expected = np.rot90(np.asarray(Image.fromarray(sharp[1]).convert("L"))).astype(float)  # counterclockwise
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 6
    assert np.abs(found - expected[::-1, ::-1]).mean() > 15


def test_frames_that_are_there_are_not_written_again(shaken, tmp_path):
    files = {i: tmp_path / f"{i}.jpg" for i in (0, 5, 9)}
    files[5].write_bytes(b"kept")
    video.write_frames(shaken, files, silent)
    assert files[5].read_bytes() == b"kept"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.jpg", "5.jpg", "9.jpg"]


def test_what_is_no_video_is_one_line(tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(InputError, match=r"x.mp4: not a readable video .*H.264"):
        video.read_footage(path)


def turned_by(degrees: int, plain: Path) -> Path:
    """A copy whose header says that it is turned."""
    turned = plain.with_name(f"turned {degrees}.mp4")
    command = [bundled_ffmpeg(), "-loglevel", "error", "-display_rotation", degrees, "-i", plain, "-c", "copy", turned]
    subprocess.run(list(map(str, command)), check=True)
    return turned


def test_what_a_header_says(sharp, tmp_path):
    path = write_video(tmp_path / "walk.mp4", sharp[:45])
    assert video.read_footage(path) == video.Footage(45, SIZE, 30.0, 1.5, 0)
    assert str(video.read_footage(path)) == "45 frames, 160x120 pixels, 30 a second, 1.5 s long"
    for degrees in (90, 180, 270):
        size = SIZE if degrees == 180 else SIZE[::-1]
        assert video.read_footage(turned_by(degrees, path)) == video.Footage(45, size, 30.0, 1.5, degrees)


def test_what_a_header_does_not_say_is_left_out():
    assert str(video.Footage(0, SIZE, 0.0, 0.0, 0)) == "an unknown number of frames, 160x120 pixels"
    assert str(video.Footage(1, SIZE, 30000 / 1001, 0.0, 0)) == "1 frame, 160x120 pixels, 29.97 a second"


def test_a_video_without_a_whole_frame_is_one_line(sharp, tmp_path):
    path = write_video(tmp_path / "x.mp4", sharp[:3])
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - start)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"x.mp4: no frame of the video can be read; convert it"):
        video.read_footage(path)
