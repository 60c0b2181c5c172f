"""Features, matches and poses by pycolmap, in a process of its own: `python -m nerf_plugins.captures.reconstruction JOB`.

A process of its own, since importing pycolmap 4 breaks zlib in a process that uses it afterwards (compressed saves hang or are
corrupt), since COLMAP ends the process where it meets what it does not expect, and so that it can be stopped. Nothing is compressed here.

The database keeps what is done: images with features and pairs with geometry are not done again. Lines of JSON on stdout say how far
each stage is; the last one may be an error in one line. The process ends when its stdin does: with the one that started it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nerf_plugins.captures.adjustment import adjusted, pose
from nerf_plugins.captures.job import CameraGroup, Intrinsics, Job, Matched, Posed, Reconstruction, write_reconstruction
from nerf_plugins.captures.pairs import Pair, all_pairs, following, image_codes, merged, most_similar
from nerf_plugins.errors import InputError

SEED = 0
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
    if not job.result.exists():
        _map(job, database, ids)


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


def _map(job: Job, database: Path, ids: dict[str, int]) -> None:
    """Poses, the best component, its last adjustment, its frame; the result is moved to its place when it is whole."""
    part = job.folder / "sparse.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    models = largest_first(_models(job, database, part, len(ids)))
    _say(stage="poses", done=len(ids), total=len(ids))
    if not models:
        raise InputError(
            f"{job.images}: no pose could be found for any of the {len(ids)} photos: take more of them, sharp and with texture, "
            "each sharing two thirds of what it shows with the next, from places a step apart (turning on the spot gives no depth)"
        )
    for folder in part.iterdir():
        shutil.rmtree(folder)
    _say(stage="adjustment", done=0, total=1)
    model = adjusted(models[0])
    _say(stage="adjustment", done=1, total=1)
    reconstruction = _summary(model, models, database, ids)
    (part / "0").mkdir()
    model.write(str(part / "0"))
    write_reconstruction(reconstruction, part)
    os.replace(part, job.result)


def largest_first(models: Sequence[Any]) -> list[Any]:
    """By registered images, then points. COLMAP's own order is that in which it began them: its model 0 may hold two photos of 86."""
    return sorted(models, key=lambda model: (-model.num_reg_images(), -model.num_points3D()))


def _models(job: Job, database: Path, part: Path, count: int) -> list[Any]:
    import pycolmap

    smallest = max(3, min(10, count // 3))
    placed = 0

    def next_image() -> None:
        nonlocal placed
        placed += 1
        _say(stage="poses", done=min(placed, count), total=count)

    _say(stage="poses", done=0, total=count)
    if job.mapper == "global":
        options = pycolmap.GlobalPipelineOptions()
        options.min_model_size, options.random_seed = smallest, SEED
        return list(pycolmap.global_mapping(str(database), str(job.images), str(part), options).values())
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size, options.random_seed = smallest, SEED
    models = pycolmap.incremental_mapping(
        str(database),
        str(job.images),
        str(part),
        options,
        initial_image_pair_callback=next_image,
        next_image_callback=next_image,
    )
    return list(models.values())


def _summary(model: Any, models: Sequence[Any], database: Path, ids: dict[str, int]) -> Reconstruction:
    import pycolmap

    with pycolmap.Database.open(str(database)) as db:
        partners = _partners(db)
        features = {name: db.num_keypoints_for_image(i) for name, i in ids.items()}
    inside = own_images([{m.image(i).name for i in m.reg_image_ids()} for m in models])
    images = sorted((model.image(i) for i in model.reg_image_ids()), key=lambda image: image.name)
    used = {image.camera_id for image in images}
    return Reconstruction(
        cameras={i: intrinsics(model.camera(i)) for i in sorted(used)},
        posed={image.name: _posed(model, image) for image in images},
        matched={
            name: Matched(
                features[name], partners.get(i, 0), tuple(k for k, names in enumerate(inside) if name in names)
            )
            for name, i in ids.items()
        },
        components=[len(names) for names in inside],
        error=float(model.compute_mean_reprojection_error()),
        points=np.array([[*p.xyz, *p.color, p.error, p.track.length()] for p in model.points3D.values()]),
    )


def own_images(components: Sequence[set[str]]) -> list[set[str]]:
    """Of components, the largest first, the images that no larger one has; those left with none are not there. COLMAP may place an image
    in several."""
    known: set[str] = set()
    own = []
    for names in components:
        own.append(names - known)
        known |= names
    return [names for names in own if names]


def _posed(model: Any, image: Any) -> Posed:
    errors = [model.point3D(p.point3D_id).error for p in image.get_observation_points2D()]
    return Posed(pose(image).tolist(), image.camera_id, len(errors), float(np.mean(errors)) if errors else 0.0)


def _partners(db: Any) -> dict[int, int]:
    """For each image how many others it shares verified geometry with."""
    import pycolmap

    counts: dict[int, int] = {}
    pairs, inliers = db.read_two_view_geometry_num_inliers()
    for pair, count in zip(pairs, inliers):
        if count > 0:
            for image_id in pair if isinstance(pair, tuple) else pycolmap.pair_id_to_image_pair(pair):
                counts[image_id] = counts.get(image_id, 0) + 1
    return counts


def intrinsics(camera: Any) -> Intrinsics:
    """An OPENCV camera of one that is that, or SIMPLE_RADIAL.

    Raises:
        InputError: the model is another one.
    """
    size, values = (camera.width, camera.height), [float(v) for v in camera.params]
    name = getattr(camera.model, "name", str(camera.model))
    if name == "OPENCV":
        return Intrinsics(*size, *values)
    if name == "SIMPLE_RADIAL":
        f, x, y, k = values
        return Intrinsics(*size, f, f, x, y, k, 0.0, 0.0, 0.0)
    raise InputError(f"camera model {name}: only OPENCV and SIMPLE_RADIAL are read")


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
