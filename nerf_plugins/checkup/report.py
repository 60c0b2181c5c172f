"""All that is said of a dataset, as lines or JSON."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from nerf_plugins.captures.folders import beside_photos
from nerf_plugins.captures.photos import group_cameras, read_upright
from nerf_plugins.checkup.advice import Advice, advise
from nerf_plugins.checkup.footage import footage_remarks
from nerf_plugins.checkup.pixels import (
    Look,
    Picture,
    blur_remark,
    chosen,
    copy_remark,
    exposure_remark,
    look,
    neighbours_in_order,
    twin_remark,
)
from nerf_plugins.checkup.poses import check_poses
from nerf_plugins.checkup.scene import draw_cameras, neighbours_by_pose, scene_remarks
from nerf_plugins.checkup.source import Posed, Unposed, Video, open_source
from nerf_plugins.console import Remark, collected, say
from nerf_plugins.data.dataset import CheckedDataset
from nerf_plugins.data.odd_cameras import camera_remarks
from nerf_plugins.data.sparse_points import sparse_points
from nerf_plugins.errors import InputError
from nerf_plugins.files.writing import new_file, whole_file
from nerf_plugins.images.reading import read_header
from nerf_plugins.wording import counted

FEW = 20
"""Photos below which most scenes are seen too little of."""
_NAMED = 5


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        title: what it is.
        remarks: on what is there, odd or not.
        broken: photos and masks that cannot be read, each in a line; training would stop at them.
        advice: what to do.
        picture: of the cameras; None without poses.
    """

    title: str
    remarks: list[Remark]
    broken: list[str]
    advice: list[Advice]
    picture: Path | None


def examine(data: Path, picture: Path | None) -> Report:
    """Reads what a path holds.

    Args:
        data: a dataset, a folder of photos or a video.
        picture: where the cameras are drawn; None: in the system's folder for temporary files.

    Raises:
        InputError: training would refuse it.
    """
    with collected() as said, redirect_stdout(io.StringIO()):  # nerfstudio says much while it reads
        source = open_source(data)
    if isinstance(source, Video):
        return Report(f"{data}: a video of {source.footage}", footage_remarks(source.footage), [], advise(source), None)
    if isinstance(source, Unposed):
        return _of_photos(source)
    return _of_dataset(source, said, picture)


def show(report: Report, as_json: bool) -> None:
    """Prints a report."""
    if as_json:
        print(json.dumps(_as_json(report), indent=2, ensure_ascii=False))
        return
    say(report.title)
    for remark in report.remarks:
        remark.print()
    for line in report.broken[:_NAMED]:
        Remark(f"error: {line}", is_odd=True).print()
    if len(report.broken) > _NAMED:
        Remark(f"and {len(report.broken) - _NAMED} more that cannot be read", is_odd=True).print()
    if report.picture is not None:
        say(f"Cameras, to look at: {report.picture}")
    for advice in report.advice:
        say(f"{advice.why[0].upper()}{advice.why[1:]}:\n  {advice.command}")


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "title": report.title,
        "remarks": [remark._asdict() for remark in report.remarks],
        "broken": report.broken,
        "advice": [advice._asdict() for advice in report.advice],
        "picture": None if report.picture is None else str(report.picture),
    }


def _of_photos(source: Unposed) -> Report:
    photos = source.photos
    names = [photo.path.name for photo in photos]
    groups = group_cameras(photos, "auto")
    known = sum(photo.focal is not None for photo in photos)
    remarks = [
        _sizes([photo.size for photo in photos]),
        Remark(f"Cameras: {len(groups)}; {known} of {len(photos)} photos tell their focal length (EXIF)."),
        _few(len(photos)),
    ]
    turned = sum(photo.orientation > 1 for photo in photos)
    remarks.append(
        Remark(f"{counted(turned, 'photo is', 'photos are')} turned by their EXIF orientation.") if turned else None
    )
    beside = beside_photos(source.data)
    remarks.append(None if beside is None else Remark(beside, is_odd=True))
    seen, broken = _look(names, lambda i: (np.asarray(read_upright(photos[i].path)), None), [p.size for p in photos])
    remarks += _of_looks(seen, lambda: neighbours_in_order(len(seen)), [photo.path for photo in photos])
    return Report(f"{source.data}: {len(photos)} photos without poses", _there(remarks), broken, advise(source), None)


def _of_dataset(source: Posed, said: list[Remark], picture: Path | None) -> Report:
    train, held_out = source.manager.train_dataset, source.manager.eval_dataset
    seen = source.manager.all_cameras()
    paths = list(seen)
    sizes = [(int(camera.width), int(camera.height)) for camera in seen.values()]
    read = _reader(train, held_out, paths)
    looks, broken = _look([path.name for path in paths], read, sizes)
    of_poses, unread = check_poses(seen, read, lambda indices: _followed(indices, "comparing photos"))
    broken += [line for line in unread if line not in broken]
    points, lost = _points(source)
    poses = torch.stack([camera.camera_to_worlds for camera in seen.values()]).double()
    remarks = [
        _sizes(sizes),
        _few(len(paths)),
        *said,
        lost,
        *_of_looks(looks, lambda: neighbours_by_pose(poses[list(looks)]), paths),
        *train.remarks(),
        *(Remark(line, is_odd=True) for line in camera_remarks(list(seen.values()), [path.name for path in paths])),
        of_poses,
        *scene_remarks(source, points),
    ]
    advice = advise(source, poses_are_odd=of_poses is not None and of_poses.is_odd)
    drawn = _draw(source, points, picture)
    title = f"{source.data}: {source.dataparser}, {counted(len(train), 'photo')} to train on, {len(paths) - len(train)} held out"
    return Report(title, _there(remarks), broken + _broken_headers(paths, broken), advice, drawn)


def _reader(train: CheckedDataset, held_out: CheckedDataset, paths: Sequence[Path]) -> Callable[[int], Picture]:
    """What reads the pixels of an image, and its mask, as training does."""
    places = {path: (dataset, i) for dataset in (held_out, train) for i, path in enumerate(dataset.image_filenames)}

    def read(index: int) -> Picture:
        dataset, i = places[paths[index]]
        has_masks = dataset._dataparser_outputs.mask_filenames is not None
        return dataset.get_numpy_image(i), dataset.get_mask(i) if has_masks else None

    return read


def _look(
    names: Sequence[str], read: Callable[[int], Picture], sizes: Sequence[tuple[int, int]]
) -> tuple[dict[int, Look], list[str]]:
    """Some photos, with a line of progress; see :func:`look`."""
    indices = chosen(len(names), max(width * height for width, height in sizes))
    return look(names, read, _followed(indices, "looking at photos"))


def _followed(indices: Sequence[int], what: str) -> Iterable[int]:
    """The indices, with a line of progress."""
    return track(indices, what, console=Console(stderr=True), transient=True)


def _broken_headers(paths: Sequence[Path], known: Sequence[str]) -> list[str]:
    """Of photos whose pixels were not looked at."""
    lines = []
    for path in paths:
        try:
            read_header(path)
        except InputError as e:
            lines.append(str(e))
    return [line for line in lines if line not in known]


def _of_looks(
    looks: dict[int, Look], neighbours: Callable[[], np.ndarray], paths: Sequence[Path]
) -> list[Remark | None]:
    if len(looks) < 2:
        return []
    seen = list(looks.values())
    part = (
        [Remark(f"The pixels of {len(seen)} of them, evenly chosen, were looked at.")] if len(seen) < len(paths) else []
    )
    return [*part, exposure_remark(seen, neighbours()), blur_remark(seen), twin_remark(seen), copy_remark(paths)]


def _sizes(sizes: Sequence[tuple[int, int]]) -> Remark:
    counts = Counter(sizes).most_common()
    named = ", ".join(f"{count} of {w}x{h}" for (w, h), count in counts[:_NAMED])
    return Remark(f"Sizes: {named}{', ...' if len(counts) > _NAMED else ''} pixels.")


def _few(count: int) -> Remark | None:
    return (
        Remark(f"{counted(count, 'photo is', 'photos are')} few: twenty or more see most scenes well.", True)
        if count < FEW
        else None
    )


def _points(source: Posed) -> tuple[np.ndarray, Remark | None]:
    """The sparse points, or why they cannot be read: training does without them."""
    try:
        points = sparse_points(source.manager.config.dataparser, source.manager.train_dataparser_outputs)
        return points[np.isfinite(points[:, :3]).all(axis=1)], None
    except InputError as e:
        return np.zeros((0, 6)), Remark(f"{e}; training does without them", is_odd=True)


def _draw(source: Posed, points: np.ndarray, picture: Path | None) -> Path:
    if picture is not None:
        with new_file(picture, "--picture") as part:
            draw_cameras(source, points, part)
        return picture
    data = source.data.resolve()
    place = hashlib.sha256(str(data).encode(errors="surrogateescape")).hexdigest()[
        :6
    ]  # another dataset may have the name
    path = Path(tempfile.gettempdir()) / f"{data.stem}_{place}_cameras.png"
    with whole_file(path) as part:
        draw_cameras(source, points, part)
    return path


def _there(remarks: Sequence[Remark | None]) -> list[Remark]:
    return [remark for remark in remarks if remark is not None]
