"""Features, matches, poses (`mapping.py`) by pycolmap, in a process of its own: `python -m nerf_plugins.captures.reconstruction JOB`.

A process of its own, since importing pycolmap 4 breaks zlib in a process that uses it afterwards (compressed saves hang or are
corrupt), since COLMAP ends the process where it meets what it does not expect, and so that it can be stopped. Nothing is compressed here.

The database keeps what is done: images with features and pairs with geometry are not done again. Lines of JSON on stdout say how far
each stage is; the last one may be an error in one line. The process ends when its stdin does: with the one that started it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nerf_plugins.captures.job import CameraGroup, Job
from nerf_plugins.captures.mapping import SEED, find_poses
from nerf_plugins.captures.pairs import Pair, all_pairs, following, image_codes, merged, most_similar
from nerf_plugins.errors import InputError

PAIRS_AT_ONCE = 64
MEMORY_PER_PIXEL = 320
"""Bytes that the search for features takes for each pixel of a picture: it enlarges the picture and keeps many scales of it."""
LOOPS = 5
"""Most similar images that each of a sequence is compared with, besides those that follow."""


def main(path: str) -> int:
    """Does the job of a file; returns the exit code."""
    _end_with_parent()
    try:
        reconstruct(Job.read(Path(path)))
    except InputError as error:
        _say(error=str(error))
        return 1
    return 0


def reconstruct(job: Job) -> None:
    """Goes through the stages that are not done yet.

    Raises:
        InputError: the photos give no reconstruction.
    """
    import pycolmap

    pycolmap.set_random_seed(SEED)
    database = job.folder / "database.db"
    if not database.exists():
        _register_images(job, database)
    with pycolmap.Database.open(str(database)) as db:
        ids = {image.name: image.image_id for image in db.read_all_images()}
    _extract_features(job, database, ids)
    _match(job, database, ids)
    if not job.has_result:
        find_poses(job, database, ids, lambda stage, done, total: _say(stage=stage, done=done, total=total))


def _register_images(job: Job, database: Path) -> None:
    """A database of images and cameras, moved to its place when it is whole."""
    import pycolmap

    part = database.with_name("part.db")
    part.unlink(missing_ok=True)
    pycolmap.Database.open(str(part)).close()
    for done, group in enumerate(job.groups):
        _say(stage="cameras", done=done, total=len(job.groups))
        _register_group(job, part, group)
    _say(stage="cameras", done=len(job.groups), total=len(job.groups))
    with pycolmap.Database.open(str(part)) as db:
        missing = sorted({*job.names} - {image.name for image in db.read_all_images()})
        if missing:
            raise InputError(
                f"{job.images / missing[0]}: COLMAP cannot read it ({len(missing)} such); see {job.folder / 'log.txt'}"
            )
        known = {_camera_of(db, group): group for group in job.groups}
        for camera in db.read_all_cameras():
            camera.has_prior_focal_length = known[camera.camera_id].is_prior
            db.update_camera(camera)
    os.replace(part, database)


def _camera_of(db: Any, group: CameraGroup) -> int:
    """The camera of a group in a database."""
    return db.read_image_with_name(group.names[0]).camera_id


def _register_group(job: Job, database: Path, group: CameraGroup) -> None:
    import pycolmap

    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = "SIMPLE_RADIAL"
    reader.camera_params = ",".join(map(str, (group.focal, group.width / 2, group.height / 2, 0.0)))
    pycolmap.import_images(
        str(database), str(job.images), pycolmap.CameraMode.SINGLE, list(group.names), options=reader
    )


def _extract_features(job: Job, database: Path, ids: dict[str, int]) -> None:
    import pycolmap

    with pycolmap.Database.open(str(database)) as db:
        todo = [n for n in job.names if not (db.exists_keypoints(ids[n]) and db.exists_descriptors(ids[n]))]
    reader, options = pycolmap.ImageReaderOptions(), pycolmap.FeatureExtractionOptions()
    if job.masks is not None:
        reader.mask_path = str(job.masks)
    options.max_image_size = job.feature_size
    options.sift.max_num_features = job.features
    options.num_threads = _threads(job)
    for chunk in _chunks(todo, 4 * options.num_threads):
        _say(stage="features", done=len(ids) - len(todo) + todo.index(chunk[0]), total=len(ids))
        pycolmap.extract_features(
            str(database), str(job.images), chunk, reader_options=reader, extraction_options=options
        )
    _say(stage="features", done=len(ids), total=len(ids))


def _threads(job: Job) -> int:
    """As many as there are cores, and as half of the free memory bears."""
    pixels = max(g.width * g.height * min(1.0, job.feature_size / max(g.width, g.height)) ** 2 for g in job.groups)
    fitting = int(0.5 * _free_memory() / (MEMORY_PER_PIXEL * pixels))
    return max(
        1, min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, fitting)
    )


def _free_memory() -> float:
    """In bytes."""
    import psutil

    return float(psutil.virtual_memory().available)


def _match(job: Job, database: Path, ids: dict[str, int]) -> None:
    import pycolmap

    with pycolmap.Database.open(str(database)) as db:
        pairs = [(job.names[i], job.names[j]) for i, j in choose_pairs(job, db, ids)]
        todo = [(a, b) for a, b in pairs if not db.exists_two_view_geometry(ids[a], ids[b])]
    options, listed = pycolmap.ImportedPairingOptions(), job.folder / "pairs.txt"
    options.match_list_path = str(listed)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = SEED
    for done, chunk in enumerate(_chunks(todo, PAIRS_AT_ONCE)):
        _say(stage="matches", done=len(pairs) - len(todo) + done * PAIRS_AT_ONCE, total=len(pairs))
        listed.write_text("".join(f"{a} {b}\n" for a, b in chunk), encoding="utf-8")
        pycolmap.match_image_pairs(str(database), pairing_options=options, verification_options=verification)
    _say(stage="matches", done=len(pairs), total=len(pairs))


def choose_pairs(job: Job, db: Any, ids: dict[str, int]) -> list[Pair]:
    """Pairs of indices into the job's names."""
    n = len(job.names)
    if job.matching == "exhaustive" or n <= job.neighbours + 1:
        return all_pairs(n)
    codes = image_codes(_descriptors(db, ids[name]) for name in job.names)
    if job.matching == "sequential":
        return merged(following(n, max(job.neighbours // 2, 1)), most_similar(codes, LOOPS))
    return merged(following(n, 2), most_similar(codes, job.neighbours))


def _descriptors(db: Any, image_id: int) -> np.ndarray:
    read = db.read_descriptors(image_id)
    return np.asarray(getattr(read, "data", read), dtype=np.uint8).reshape(-1, 128)


def _chunks(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))


def _say(**event: Any) -> None:
    print(json.dumps(event), flush=True)


def _end_with_parent() -> None:
    """Ends this process as soon as the one that holds the other end of stdin has ended, however it did."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
