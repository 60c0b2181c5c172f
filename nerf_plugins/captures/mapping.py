"""From verified matches to poses and sparse points, by pycolmap; part of the reconstructing process (`reconstruction.py`).

The global mapper (GLOMAP, Pan et al. 2024) finds all poses at once, in a tenth of the time that one photo after the other takes, and
without the drift of that: of 292 photos around a table the incremental one had a third of the cameras contradict their own matches.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from nerf_plugins.captures.adjustment import adjusted, pose
from nerf_plugins.captures.agreement import AGREED, Agreement, agreement
from nerf_plugins.captures.job import Intrinsics, Job, Matched, OnProgress, Posed, Reconstruction, write_reconstruction
from nerf_plugins.errors import InputError

SEED = 0


def find_poses(job: Job, database: Path, ids: Mapping[str, int], on_progress: OnProgress) -> None:
    """Poses, the best component, its last adjustment, its frame; the result is moved to its place when it is whole.

    Args:
        job: what to do.
        database: with matches.
        ids: of the images by name.
        on_progress: told of the stages `poses` and `adjustment`.

    Raises:
        InputError: no pose was found.
    """
    part = job.folder / "sparse.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    models = best_models(job, database, part, ids, on_progress)
    on_progress("poses", len(ids), len(ids))
    if not models:
        raise InputError(
            f"{job.images}: no pose could be found for any of the {len(ids)} photos: take more of them, sharp and with texture, "
            "each sharing two thirds of what it shows with the next, from places a step apart (turning on the spot gives no depth)"
        )
    on_progress("adjustment", 0, 1)
    model = adjusted(models[0])
    on_progress("adjustment", 1, 1)
    reconstruction = _summary(model, models, database, ids)
    (part / "0").mkdir()
    model.write(str(part / "0"))
    write_reconstruction(reconstruction, part)
    shutil.rmtree(job.result, ignore_errors=True)  # one that lacks something
    os.replace(part, job.result)


def best_models(job: Job, database: Path, folder: Path, ids: Mapping[str, int], on_progress: OnProgress) -> list[Any]:
    """Components, the largest first, by the job's mapper.

    auto: by the global one; if fewer than `AGREED` of the matches agree with its poses, by the incremental one too, and then those whose
    points more photos saw. (Where matches are few and many of them false, a bent orbit may agree with as many as the true one: a match
    speaks of one direction only.) The folder is left empty.
    """
    if job.mapper != "auto":
        return _models(job.mapper, job, database, folder, len(ids), on_progress)
    at_once = _models("global", job, database, folder, len(ids), on_progress)
    if at_once and agreement(at_once[0], database).share_of_all >= AGREED:
        return at_once
    one_by_one = _models("incremental", job, database, folder, len(ids), on_progress)
    return max(at_once, one_by_one, key=lambda models: shared_observations(models[0]) if models else 0)


def _models(
    mapper: Literal["global", "incremental"],
    job: Job,
    database: Path,
    folder: Path,
    count: int,
    on_progress: OnProgress,
) -> list[Any]:
    """What a mapper finds, the largest first; the folder is left empty."""
    find = _by_global if mapper == "global" else _by_incremental
    models = largest_first(find(job, database, folder, count, on_progress))
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return models


def shared_observations(model: Any) -> int:
    """How often points that three photos or more see are seen; in two, chance finds some."""
    lengths = [point.track.length() for point in model.points3D.values()]
    return sum(length for length in lengths if length > 2)


def largest_first(models: Sequence[Any]) -> list[Any]:
    """By registered images, then points. COLMAP's own order is that in which it began them: its model 0 may hold two photos of 86."""
    return sorted(models, key=lambda model: (-model.num_reg_images(), -model.num_points3D()))


def _smallest(count: int) -> int:
    """Images that a component must have."""
    return max(3, min(10, count // 3))


def _by_global(job: Job, database: Path, folder: Path, count: int, on_progress: OnProgress) -> list[Any]:
    """Focal lengths that no EXIF tells come from the matches first, in a copy of the database: the mapper keeps to what it is given."""
    import pycolmap

    on_progress("poses", 0, count)
    calibrated = folder / "calibrated.db"
    shutil.copyfile(database, calibrated)
    calibration = pycolmap.ViewGraphCalibrationOptions()
    calibration.random_seed = SEED
    pycolmap.calibrate_view_graph(str(calibrated), calibration)
    options = pycolmap.GlobalPipelineOptions()
    options.min_model_size, options.random_seed = _smallest(count), SEED
    return list(pycolmap.global_mapping(str(calibrated), str(job.images), str(folder), options).values())


def _by_incremental(job: Job, database: Path, folder: Path, count: int, on_progress: OnProgress) -> list[Any]:
    import pycolmap

    placed = 0

    def next_image() -> None:
        nonlocal placed
        placed += 1
        on_progress("poses", min(placed, count), count)

    on_progress("poses", 0, count)
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size, options.random_seed = _smallest(count), SEED
    models = pycolmap.incremental_mapping(
        str(database),
        str(job.images),
        str(folder),
        options,
        initial_image_pair_callback=next_image,
        next_image_callback=next_image,
    )
    return list(models.values())


def _summary(model: Any, models: Sequence[Any], database: Path, ids: Mapping[str, int]) -> Reconstruction:
    import pycolmap

    with pycolmap.Database.open(str(database)) as db:
        features = {name: db.num_keypoints_for_image(i) for name, i in ids.items()}
    inside = own_images([{m.image(i).name for i in m.reg_image_ids()} for m in models])
    agreed = agreement(model, database)
    images = sorted((model.image(i) for i in model.reg_image_ids()), key=lambda image: image.name)
    used = {image.camera_id for image in images}
    return Reconstruction(
        cameras={i: intrinsics(model.camera(i)) for i in sorted(used)},
        posed={image.name: _posed(model, image, agreed) for image in images},
        matched={
            name: Matched(
                features[name], agreed.partners[name], tuple(k for k, names in enumerate(inside) if name in names)
            )
            for name, i in ids.items()
        },
        components=[len(names) for names in inside],
        error=float(model.compute_mean_reprojection_error()),
        agreeing=agreed.share_of_all,
        points=np.array([[*p.xyz, *p.color, p.error, p.track.length()] for p in model.points3D.values()]),
        views=_views(model, images),
    )


def _views(model: Any, images: Sequence[Any]) -> Float[np.ndarray, "m 4"]:
    """The sightings of the points, in the order of the points; see `Reconstruction`."""
    places = {image.image_id: k for k, image in enumerate(images)}
    rows = []
    for row, point in enumerate(model.points3D.values()):
        for element in point.track.elements:
            image = model.image(element.image_id)
            camera, (x, y) = model.camera(image.camera_id), image.points2D[element.point2D_idx].xy
            rows.append((places[element.image_id], row, x / camera.width, y / camera.height))
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def own_images(components: Sequence[set[str]]) -> list[set[str]]:
    """Of components, the largest first, the images that no larger one has; those left with none are not there. COLMAP may place an image
    in several."""
    known: set[str] = set()
    own = []
    for names in components:
        own.append(names - known)
        known |= names
    return [names for names in own if names]


def _posed(model: Any, image: Any, agreed: Agreement) -> Posed:
    errors = [model.point3D(p.point3D_id).error for p in image.get_observation_points2D()]
    return Posed(
        pose(image).tolist(),
        image.camera_id,
        len(errors),
        float(np.mean(errors)) if errors else 0.0,
        agreed.of_image(image.name),
    )


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
