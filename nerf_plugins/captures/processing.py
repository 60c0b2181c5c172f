"""From the options of `nerf-plugins process-data` to a dataset."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nerf_plugins.captures import masks, photos, video, worker
from nerf_plugins.captures.folders import beside_photos, refuse_dataset
from nerf_plugins.captures.job import Job, Matching, Reconstruction
from nerf_plugins.captures.judging import Judgement, as_json, check_enough, judge
from nerf_plugins.captures.options import ProcessDataOptions
from nerf_plugins.captures.output import check_output, identity, opened_output
from nerf_plugins.captures.photos import Photo
from nerf_plugins.captures.picture import draw_capture
from nerf_plugins.captures.writing import (
    POINTS,
    VIEWS,
    write_json,
    write_points,
    write_smaller,
    write_transforms,
    write_views,
)
from nerf_plugins.errors import InputError, near_path
from nerf_plugins.images.kinds import VIDEOS
from nerf_plugins.wording import counted

CONSOLE = Console(stderr=True)
EXHAUSTIVE_UP_TO = 80
"""Photos that `--matching auto` compares all with all: 3,160 pairs."""


@dataclass(frozen=True)
class Source:
    """What was given: the photos' headers and masks, or a video."""

    path: Path
    photos: tuple[Photo, ...]
    masks: dict[str, Path]
    notes: tuple[str, ...] = ()
    """On masks that were found rather than given, and on what is left out."""

    @property
    def is_video(self) -> bool:
        """Its photos are then not known yet."""
        return not self.photos

    @property
    def files(self) -> list[Path]:
        """All that the result depends on."""
        return [self.path] if self.is_video else [*(p.path for p in self.photos), *self.masks.values()]


def process_data(options: ProcessDataOptions) -> Path:
    """Makes the dataset, going on where an earlier call was stopped.

    Returns:
        The dataset's folder.

    Raises:
        InputError: an option, a photo, or a capture that gives too few poses.
    """
    _check(options)
    source = read_source(options)
    for note in source.notes:
        CONSOLE.print(f"note: {escape(note)}", soft_wrap=True)
    wanted = identity(options, source.files)
    if options.dry_run:
        check_output(options.output_dir, wanted)
        _say_plan(source, options)
        return options.output_dir
    worker.check_installed()
    with opened_output(options.output_dir, wanted) as work, _progress() as progress:
        if (options.output_dir / "transforms.json").exists():
            CONSOLE.print(f"{escape(str(options.output_dir))} is complete already.", soft_wrap=True)
        else:
            _process(source, options, work, progress)
    return options.output_dir


def read_source(options: ProcessDataOptions) -> Source:
    """Reads the headers of all photos, or of the video, before anything is written.

    Raises:
        InputError: what is given is no folder of photos and no video, or a dataset already.
    """
    path = options.data
    if not path.exists():
        raise InputError(f"{path}: does not exist{near_path(path)}; give a folder of photos, or a video")
    if path.is_file():
        if not video.is_video(path):
            raise InputError(f"{path}: is no video ({', '.join(VIDEOS)}); give one, or a folder of photos")
        if isinstance(options.masks, Path):
            raise InputError("--masks: frames of a video have no names to pair masks with; leave it out")
        video.read_footage(path)
        return Source(path, (), {})
    if options.moving:
        raise InputError("--moving: the photos of a folder have no times; give the video, or leave it out")
    refuse_dataset(path)
    found = photos.read_folder(path)
    chosen = masks.choose_masks(found, path, options.masks)
    return Source(path, found, chosen.masks, tuple(filter(None, (chosen.note, beside_photos(path)))))


def _check(options: ProcessDataOptions) -> None:
    for name, least in (("frames", 3), ("neighbours", 1), ("feature_size", 200), ("features", 100)):
        if getattr(options, name) < least:
            raise InputError(f"--{name.replace('_', '-')} {getattr(options, name)}: give {least} or more")
    if not 0.0 <= options.min_registered <= 1.0:
        raise InputError(f"--min-registered {options.min_registered:g}: a share lies between 0 and 1")


def _process(source: Source, options: ProcessDataOptions, work: Path, progress: Stages) -> None:
    folder, images = options.output_dir, options.output_dir / "images"
    images.mkdir(exist_ok=True)
    if source.is_video:
        written, times, notes = _write_frames(source.path, options, work, images, progress)
    else:
        written, times, notes = list(source.photos), {}, _write_photos(source, folder, work, progress)
    reconstruction = worker.run(_job(written, source, options, work), progress.show)
    sharp = {photo.name: _sharpness(images / photo.name) for photo in written}
    judgement = judge(reconstruction, sharp)
    draw_capture(reconstruction, judgement.doubtful, folder / "capture.png")
    write_json(as_json(reconstruction, judgement, sharp, notes), folder / "capture.json")
    check_enough(reconstruction, judgement, options.min_registered)
    write_points(reconstruction, folder / POINTS)
    write_views(reconstruction, folder / VIEWS)
    write_smaller(
        reconstruction, folder, bool(source.masks), lambda n, total: progress.show("smaller copies", n, total)
    )
    write_transforms(reconstruction, folder, bool(source.masks), times if options.moving else {})
    _report(reconstruction, judgement, notes)


def _write_photos(source: Source, folder: Path, work: Path, progress: Stages) -> list[str]:
    """Upright copies, and masks; returns what is to be said of them."""
    without = 0
    for done, photo in enumerate(source.photos, start=1):
        target = folder / "images" / photo.name
        if not target.exists():
            photos.write_upright(photo, target)
        without += _write_masks(photo, source.masks.get(photo.name), bool(source.masks), folder, work)
        progress.show("photos", done, len(source.photos))
    if source.masks and without:
        return [f"{without} of {len(source.photos)} photos have no mask; all of them is used"]
    return []


def _write_masks(photo: Photo, path: Path | None, is_masked: bool, folder: Path, work: Path) -> bool:
    """The mask for training (of a photo without one it is all white) and, with the photo's transparency, the one for matching.

    Returns:
        The photo has no mask, though others have.
    """
    target, for_matching = folder / "masks" / f"{photo.name}.png", work / "masks" / f"{photo.name}.png"
    if not is_masked and photo.name.endswith(".jpg"):
        return False
    if for_matching.exists() and (target.exists() or not is_masked):
        return is_masked and path is None
    width, height = photo.size
    mask = np.ones((height, width), dtype=bool) if path is None else masks.read_mask(path, photo)
    if is_masked:
        target.parent.mkdir(exist_ok=True)
        masks.write_mask(mask, target)
    for_matching.parent.mkdir(exist_ok=True)
    masks.write_mask(mask & masks.opaque(folder / "images" / photo.name), for_matching)
    return is_masked and path is None


def _write_frames(
    path: Path, options: ProcessDataOptions, work: Path, images: Path, progress: Stages
) -> tuple[list[Photo], dict[str, float], list[str]]:
    """The chosen frames of a video as photos, when each is shown, and what is to be said; the choice is made once."""
    record = work / "frames.json"
    if not record.exists():
        scores = video.score_frames(path, lambda n, total: progress.show("looking at frames", n, total))
        selection = video.select_frames(scores, options.frames)
        if len(selection.chosen) < 3:
            raise InputError(
                f"{path}: the camera hardly moves ({len(selection.chosen)} different frames); walk around the scene"
            )
        times = [round(float(scores.times[i]), 4) for i in selection.chosen]
        write_json({"frames": selection.chosen, "times": times, "notes": selection.notes}, record)
    chosen = json.loads(record.read_text(encoding="utf-8"))
    files = {i: images / f"frame_{i:06d}.jpg" for i in chosen["frames"]}
    video.write_frames(path, files, lambda n, total: progress.show("frames", n, total))
    times = {file.name: seconds for file, seconds in zip(files.values(), chosen["times"])}
    return [photos.read_header(file) for file in files.values()], times, chosen["notes"]


def _job(written: Sequence[Photo], source: Source, options: ProcessDataOptions, work: Path) -> Job:
    for_matching = work / "masks"
    return Job(
        folder=work,
        images=options.output_dir / "images",
        masks=for_matching if for_matching.is_dir() else None,
        groups=photos.group_cameras(written, options.cameras),
        matching=_matching(options, len(written), source.is_video),
        mapper=options.mapper,
        neighbours=options.neighbours,
        feature_size=options.feature_size,
        features=options.features,
    )


def _matching(options: ProcessDataOptions, count: int, is_video: bool) -> Matching:
    if options.matching != "auto":
        return options.matching
    return "sequential" if is_video else "exhaustive" if count <= EXHAUSTIVE_UP_TO else "nearest"


def _sharpness(path: Path) -> float:
    """Of an image of the dataset, whose names may be any letters, which OpenCV's own reading does not bear on Windows."""
    data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    return photos.sharpness(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


class Stages:
    """A line of progress for each stage."""

    def __init__(self, progress: Progress):
        self._progress, self._tasks = progress, {}

    def show(self, stage: str, done: int, total: int) -> None:
        """Says how far a stage is; the first call makes its line."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=min(done, total), total=total)


@contextmanager
def _progress() -> Iterator[Stages]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=CONSOLE) as progress:
        yield Stages(progress)


def _say_plan(source: Source, options: ProcessDataOptions) -> None:
    """What would be done."""
    if source.is_video:
        CONSOLE.print(
            f"{escape(str(source.path))}: a video of {video.read_footage(source.path)}; up to {options.frames} frames would be used.",
            soft_wrap=True,
        )
    else:
        groups = photos.group_cameras(source.photos, options.cameras)
        matching = _matching(options, len(source.photos), is_video=False)
        CONSOLE.print(
            f"{len(source.photos)} photos, {len(source.masks)} with a mask; {counted(len(groups), 'camera')}; matching {matching}.",
            soft_wrap=True,
        )
        for group in groups:
            known = "from EXIF" if group.is_prior else "guessed"
            CONSOLE.print(
                f"  {len(group.names)} of {group.width} x {group.height}, focal length {group.focal:.0f} pixels ({known})"
            )
    CONSOLE.print(f"{escape(str(options.output_dir))} would be written; nothing has been.", soft_wrap=True)


def _report(reconstruction: Reconstruction, judgement: Judgement, notes: Sequence[str]) -> None:
    """The result in a few lines."""
    count, total = len(reconstruction.posed), len(reconstruction.matched)
    CONSOLE.print(
        f"{count} of {total} photos placed, {counted(len(reconstruction.points), 'point')}, "
        f"reprojection error {reconstruction.error:.2f} pixels."
    )
    for line in (*notes, *judgement.warnings):
        CONSOLE.print(f"note: {escape(line)}", soft_wrap=True)
    for item in judgement.left_out[:10]:
        CONSOLE.print(f"  left out: {escape(item.name)}: {item.reason}", soft_wrap=True)
    if len(judgement.left_out) > 10:
        CONSOLE.print(f"  and {len(judgement.left_out) - 10} more, in capture.json")
