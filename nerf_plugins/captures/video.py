"""Which frames of a video are worth keeping: sharp ones, evenly spread over what the camera does, none nearly twice.

A video is read twice, one frame at a time: once to judge its frames, once to write the chosen ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from jaxtyping import Float
from PIL import Image

from nerf_plugins.captures.files import save_picture
from nerf_plugins.captures.photos import sharpness
from nerf_plugins.errors import InputError
from nerf_plugins.images.kinds import VIDEOS
from nerf_plugins.wording import counted

STILL = 0.5
"""Grey levels, of 255, that thumbnails of a camera at rest differ by: noise and compression."""
LEAST_CHANGE = 2.0
"""Grey levels that thumbnails of two chosen frames must differ by; less is nearly a duplicate."""
BLURRED = 0.4
"""Sharpness, over that of the sharper quarter of the chosen frames around, below which a frame is left out."""
AROUND = 10
"""Chosen frames before and after that a frame is compared with: elsewhere the scene may have more or less texture."""
MOST_LEFT_OUT = 2
"""Blurred frames left out in a row; of each three the sharpest is kept, or the frames beside them would share too little."""
WIDE = 1.5
"""Windows that a gap between two chosen frames may span before sharp frames inside it are taken too."""
_THUMBNAIL = (64, 48)

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class FrameScores:
    """Of all frames of a video, in order.

    Attributes:
        times: when each is shown, in seconds; frame rates vary.
        sharpness: of each.
        thumbnails: of each, grey.
    """

    times: Float[np.ndarray, "n"]
    sharpness: Float[np.ndarray, "n"]
    thumbnails: Float[np.ndarray, "n h w"]


@dataclass(frozen=True)
class Selection:
    """Indices of the chosen frames, and why others were not chosen, in words."""

    chosen: list[int]
    notes: list[str]


def is_video(path: Path) -> bool:
    """By its ending."""
    return path.suffix.lower() in VIDEOS


@dataclass(frozen=True)
class Footage:
    """What a video's header and its first frame say of it.

    Attributes:
        n_frames: by the header, or estimated from the length; 0 where it says nothing.
        size: width and height as a player shows it.
        rate: frames a second on average; 0 where nothing says it.
        seconds: its length; 0 where nothing says it.
        turned: degrees, anticlockwise, by which players turn its frames.
    """

    n_frames: int
    size: tuple[int, int]
    rate: float
    seconds: float
    turned: int

    def __str__(self) -> str:
        """For the user, in a line: what is known of it."""
        width, height = self.size
        words = [
            counted(self.n_frames, "frame") if self.n_frames else "an unknown number of frames",
            f"{width}x{height} pixels",
            f"{self.rate:.4g} a second" if self.rate else "",
            f"{self.seconds:.1f} s long" if self.seconds else "",
        ]
        return ", ".join(filter(None, words))


def read_footage(path: Path) -> Footage:
    """Reads the header and one frame.

    Raises:
        InputError: it is no video, or no frame of it can be read.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        rate, n_frames = float(stream.average_rate or 0), int(stream.frames)
        seconds = float(container.duration or 0) / 1e6 or (n_frames / rate if rate else 0.0)
    first = next(_frames(path), None)
    if first is None:
        raise InputError(f"{path}: no frame of the video can be read; convert it to an H.264 .mp4")
    turned = 90 * round(first.rotation / 90) % 360
    size = (first.height, first.width) if turned % 180 else (first.width, first.height)
    return Footage(n_frames or int(seconds * rate), size, rate, seconds, turned)


def score_frames(path: Path, on_progress: OnProgress) -> FrameScores:
    """Reads the whole video.

    Raises:
        InputError: it cannot be read, or has no frames.
    """
    total, times, sharp, thumbnails = read_footage(path).n_frames, [], [], []
    for i, frame in enumerate(_frames(path)):
        grey = frame.to_ndarray(format="gray")
        times.append(float(frame.time) if frame.time is not None else float(i))
        sharp.append(sharpness(grey))
        thumbnails.append(cv2.resize(grey, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32))
        on_progress(i + 1, max(total, i + 1))
    return FrameScores(np.array(times), np.array(sharp), np.stack(thumbnails))


def select_frames(scores: FrameScores, count: int) -> Selection:
    """At most `count` frames.

    The video is cut into windows of equal camera movement, which a still camera does not fill and a fast one fills quickly, whatever
    the frame rate; each gives its sharpest frame. Of these, nearly equal ones and those much more blurred than the ones around are
    left out. In their place come the sharp frames nearest to them, so that a gap is no wider than it must be.
    """
    places = _places(scores)
    windows = _windows(places, count)
    best = [int(members[np.argmax(scores.sharpness[members])]) for members in windows]
    distinct = _without_duplicates(best, scores)
    kept = _without_blurred(distinct, scores)
    notes = []
    if len(distinct) < len(best):
        notes.append(f"frames left out as nearly equal to another: {len(best) - len(distinct)}")
    if len(kept) < len(distinct):
        notes.append(f"frames left out as blurred, with no sharp one near: {len(distinct) - len(kept)}")
    return Selection(_with_edges_of_gaps(kept, scores, places, count), notes)


def write_frames(path: Path, files: dict[int, Path], on_progress: OnProgress) -> None:
    """Writes frames, upright, as JPEG; those whose file is there are not written again."""
    missing = {i: file for i, file in files.items() if not file.exists()}
    if not missing:
        return
    last, done = max(missing), len(files) - len(missing)
    for i, frame in enumerate(_frames(path)):
        if i in missing:
            save_picture(upright(frame), missing[i])
            done += 1
            on_progress(done, len(files))
        if i == last:
            break


def upright(frame: Any) -> Image.Image:
    """The picture as a player shows it: turned by the rotation that the file gives."""
    picture = frame.to_ndarray(format="rgb24")
    return Image.fromarray(np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90))))


def _places(scores: FrameScores) -> Float[np.ndarray, "n"]:
    """How much of all camera movement is done at each frame, 0 to 1."""
    change = np.abs(np.diff(scores.thumbnails, axis=0)).mean(axis=(1, 2))
    moved = np.concatenate([[0.0], np.cumsum(np.maximum(change - STILL, 0.0))])
    if moved[-1] <= 0.0:  # as far as thumbnails tell
        moved = scores.times - scores.times[0]
    return moved / max(float(moved[-1]), 1e-9)


def _windows(places: Float[np.ndarray, "n"], count: int) -> list[np.ndarray]:
    """Indices of the frames of each window that has some."""
    window = np.minimum((places * count).astype(int), count - 1)
    return [members for w in range(count) if (members := np.flatnonzero(window == w)).size]


def _without_duplicates(chosen: list[int], scores: FrameScores) -> list[int]:
    kept: list[int] = []
    for i in chosen:
        if kept and _is_nearly(i, kept[-1], scores):
            if scores.sharpness[i] > scores.sharpness[kept[-1]]:
                kept[-1] = i
        else:
            kept.append(i)
    return kept


def _is_nearly(i: int, j: int, scores: FrameScores) -> bool:
    return bool(np.abs(scores.thumbnails[i] - scores.thumbnails[j]).mean() < LEAST_CHANGE)


def _without_blurred(chosen: list[int], scores: FrameScores) -> list[int]:
    values = scores.sharpness[chosen]
    blurred = values < _least_sharpness(values)
    for run in _runs(blurred):
        for start in range(0, len(run) - MOST_LEFT_OUT, MOST_LEFT_OUT + 1):
            members = run[start : start + MOST_LEFT_OUT + 1]
            blurred[members[int(np.argmax(values[members]))]] = False
    return [i for i, is_blurred in zip(chosen, blurred) if not is_blurred]


def _least_sharpness(values: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    """That a frame in the place of each must have, by the sharpness of those around."""
    return BLURRED * np.array(
        [np.quantile(values[max(k - AROUND, 0) : k + AROUND + 1], 0.75) for k in range(len(values))]
    )


def _with_edges_of_gaps(kept: list[int], scores: FrameScores, places: Float[np.ndarray, "n"], count: int) -> list[int]:
    """With sharp frames inside wide gaps, the widest first, while there are fewer than `count`."""
    kept, least = list(kept), _least_sharpness(scores.sharpness[kept])
    sharp = scores.sharpness >= np.interp(np.arange(len(places)), kept, least)
    while len(kept) < count:
        gaps = sorted(((places[b] - places[a], a, b) for a, b in pairwise(kept)), reverse=True)
        found = (_inside(a, b, sharp, places, scores) for width, a, b in gaps if width * count > WIDE)
        added = next((i for i in found if i is not None), None)
        if added is None:
            break
        kept = sorted([*kept, added])
    return kept


def _inside(start: int, end: int, sharp: np.ndarray, places: Float[np.ndarray, "n"], scores: FrameScores) -> int | None:
    """The sharp frame nearest to the middle of a gap, unlike both ends."""
    middle = 0.5 * (places[start] + places[end])
    for i in sorted(range(start + 1, end), key=lambda i: abs(places[i] - middle)):
        if sharp[i] and not (_is_nearly(i, start, scores) or _is_nearly(i, end, scores)):
            return i
    return None


def _runs(flags: np.ndarray) -> list[np.ndarray]:
    """Indices of each run of set flags."""
    indices = np.flatnonzero(flags)
    return [run for run in np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1) if run.size]


def _opened(path: Path) -> Any:
    try:
        container = av.open(str(path))
    except (FFmpegError, OSError) as e:
        raise InputError(f"{path}: not a readable video ({e}); convert it to an H.264 .mp4") from e
    if not container.streams.video:
        container.close()
        raise InputError(f"{path}: has no pictures, only sound")
    return container


def _frames(path: Path) -> Iterator[Any]:
    """Frames in the order they are shown; a broken end ends the video."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        try:
            yield from container.decode(stream)
        except FFmpegError:
            return
