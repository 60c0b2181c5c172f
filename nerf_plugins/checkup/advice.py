"""Which methods and options suit what there is, with commands to copy."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

from nerf_plugins.checkup.scene import looks_at_one_thing
from nerf_plugins.checkup.source import Posed, Unposed, Video
from nerf_plugins.data.names import whole_folder
from nerf_plugins.data.sparse_depths import VIEWS_KEY
from nerf_plugins.data.sparse_points import points_file
from nerf_plugins.data.transforms import frame_files
from nerf_plugins.engine.presets import default_device

CPU_SIZE = 450
"""Longer side of photos that a CPU learns from in minutes."""
FEW_FOR_DEPTHS = 6
"""Photos up to which the depths of sparse points were seen to help."""


class Advice(NamedTuple):
    """A command, and when or why to take it."""

    why: str
    command: str


def advise(source: Posed | Unposed | Video, poses_are_odd: bool = False) -> list[Advice]:
    """What to do, the most fitting first; where the photos contradict a dataset's poses these are found anew before all else."""
    if isinstance(source, Posed):
        return (_anew(source) if poses_are_odd else []) + _for_dataset(source)
    what = "a video" if isinstance(source, Video) else "photos without poses"
    train = "then look at its capture.png, and train, with the options that it says at its end"
    return [
        Advice(f"{what}: first find the poses", _process(source, source.data)),
        Advice(train, plain_training(_target(source))),
    ]


def plain_training(data: Path, is_moving: bool = False) -> str:
    """A training on what process-data makes, without the options that only a look at it can tell."""
    method, dataparser = ("moving-nerf", "timed-data") if is_moving else ("photos-nerf", "nerfstudio-data")
    return f"ns-train {method}-custom --data {_quoted(data)} {dataparser}"


def _process(source: Posed | Unposed | Video, photos: Path) -> str:
    return f"nerf-plugins process-data {_quoted(photos)} --output-dir {_quoted(_target(source))}"


def _target(source: Posed | Unposed | Video) -> Path:
    return Path(source.data.resolve().stem + "_capture")


def _anew(source: Posed) -> list[Advice]:
    """Of photos in one folder, the whole ones where smaller copies are read; of others nothing, since a folder is what is processed."""
    folders = {path.parent for path in source.manager.all_cameras()}
    if len(folders) > 1:
        return []
    folder = folders.pop()
    whole = folder.with_name(whole_folder(folder.name)[0])
    photos = whole if whole.is_dir() else folder
    return [Advice("photos and poses contradict each other: find the poses anew", _process(source, photos))]


def _for_dataset(source: Posed) -> list[Advice]:
    metadata, dataset = source.manager.train_dataset.metadata, source.manager.train_dataset
    if metadata["times"] is not None:
        return [Advice("photos of something that moves, each with its time", _train("moving-nerf-custom", source))]
    if "ndc" in metadata:
        return [Advice("photos that all face one way", _train("photos-nerf-custom", source))]
    if dataset.has_alpha:
        return [
            Advice("an object cut out of its background: views of it", _train("nerf-hash-custom", source)),
            Advice("a surface of it, for a mesh", _train("neus-hash-custom", source)),
        ]
    surface = _train("neus-hash-custom", source, "--pipeline.model.outside.n-samples 32")
    if not metadata["cameras_inside_box"]:
        return [
            Advice("cameras around a scene that lies in its box: views of it", _train("nerf-hash-custom", source)),
            Advice("a surface of it, for a mesh, with what is behind it", surface),
        ]
    depths = "--pipeline.datamanager.pixel-sampler.depth-share 0.25" if _wants_depths(source) else ""
    why = "photos of a place, whose world does not end: views of it"
    if depths:
        why += "; they are few, so depths of sparse points are learnt too"
    views = Advice(why, _train("photos-nerf-custom", source, depths))
    if not looks_at_one_thing(source):
        return [views]
    return [views, Advice("a surface of what all cameras look at, for a mesh", surface)]


def _wants_depths(source: Posed) -> bool:
    """Whether photos are few, and depths of sparse points are there."""
    found = points_file(source.manager.config.dataparser)
    return found is not None and VIEWS_KEY in found[0].meta and len(source.manager.train_dataset) <= FEW_FOR_DEPTHS


def _train(method: str, source: Posed, options: str = "") -> str:
    words = [
        "ns-train",
        method,
        options,
        "--data",
        _quoted(source.data),
        source.dataparser,
        *_dataparser_options(source),
    ]
    return " ".join(filter(None, words))


def _dataparser_options(source: Posed) -> list[str]:
    if source.dataparser not in ("nerfstudio-data", "timed-data"):
        return []
    inside = source.manager.train_dataset.metadata["cameras_inside_box"]
    centre = ["--center-method", "focus"] if inside and looks_at_one_thing(source) else []
    factor = _factor_for_cpu(source) if default_device() == "cpu" else None
    return centre + (["--downscale-factor", str(factor)] if factor else [])


def _factor_for_cpu(source: Posed) -> int | None:
    """Of the smaller copies that are there the largest ones that are small enough for a CPU; None where none is needed or there."""
    root = frame_files(source.manager.config.dataparser)[0].parent
    cameras = source.manager.train_dataset.cameras
    whole, read = whole_folder(source.manager.train_dataset.image_filenames[0].parent.name)
    longest = int(max(cameras.width.max(), cameras.height.max())) * read
    there = [factor for factor in (2, 4, 8) if (root / f"{whole}_{factor}").is_dir()]
    if longest <= CPU_SIZE or not there:
        return None
    return next((factor for factor in there if longest / factor <= CPU_SIZE), there[-1])


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
