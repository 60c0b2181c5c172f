"""Which methods and options suit what there is, with commands to copy."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

from nerf_plugins.checkup.scene import looks_at_one_thing
from nerf_plugins.checkup.source import Posed, Unposed, Video
from nerf_plugins.data.transforms import frame_files
from nerf_plugins.engine.presets import default_device

CPU_SIZE = 450
"""Longer side of photos that a CPU learns from in minutes."""


class Advice(NamedTuple):
    """A command, and when or why to take it."""

    why: str
    command: str


def advise(source: Posed | Unposed | Video) -> list[Advice]:
    """What to do, the most fitting first."""
    if isinstance(source, Posed):
        return _for_dataset(source)
    what = "a video" if isinstance(source, Video) else "photos without poses"
    target = Path(source.data.resolve().stem + "_capture")
    find = f"nerf-plugins process-data {_quoted(source.data)} --output-dir {_quoted(target)}"
    train = "then look at its capture.png, and train, with the options that it says at its end"
    return [Advice(f"{what}: first find the poses", find), Advice(train, plain_training(target))]


def plain_training(data: Path, is_moving: bool = False) -> str:
    """A training on what process-data makes, without the options that only a look at it can tell."""
    method, dataparser = ("moving-nerf", "timed-data") if is_moving else ("photos-nerf", "nerfstudio-data")
    return f"ns-train {method}-custom --data {_quoted(data)} {dataparser}"


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
    views = Advice("photos of a place, whose world does not end: views of it", _train("photos-nerf-custom", source))
    if not looks_at_one_thing(source):
        return [views]
    return [views, Advice("a surface of what all cameras look at, for a mesh", surface)]


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
    images = source.manager.train_dataset.image_filenames[0]
    whole, _, read = images.parent.name.partition("_")
    longest = int(max(cameras.width.max(), cameras.height.max())) * (int(read) if read.isdecimal() else 1)
    there = [factor for factor in (2, 4, 8) if (root / f"{whole}_{factor}").is_dir()]
    if longest <= CPU_SIZE or not there:
        return None
    return next((factor for factor in there if longest / factor <= CPU_SIZE), there[-1])


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
