"""Which of a dataset's images are used: some of the training images, or lists of images."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataparserOutputs

from nerf_plugins.data.frames import join_frames, select_frames
from nerf_plugins.data.names import find_images
from nerf_plugins.data.splits import held_out_images, lacks_test_images
from nerf_plugins.errors import InputError


@dataclass(frozen=True)  # so that it can be a default, and runs without one in their config.yml still load
class SubsetConfig:
    """Which of the dataset's images are used, whatever the dataparser"""

    n_images: int | None = None
    """Train on this many of the training images. None: on all of them."""
    choice: Literal["even", "first", "random"] = "even"
    """even: spread evenly over the dataset's order, the first and the last image among them.
    random: the first, the last, and others drawn with the seed; fewer images are then among those of more.
    first: the first ones."""
    seed: int = 0
    """Of the random choice."""
    split_file: Path | None = None
    """JSON file {"train": [...], "test": [...]} that lists the images to train and to evaluate on, out of all splits of the dataset.
    A name is the end of an image's path ("train/r_3.png", "r_3"); a number counts all images in the order of their paths, from 0.
    What is left out is the dataset's own split. The run keeps a copy."""


class SplitLists(NamedTuple):
    """What a split file lists; None where it leaves a split to the dataset."""

    train: list[str | int] | None
    test: list[str | int] | None


def training_images(config: SubsetConfig, dataparser: DataParser, train: DataparserOutputs) -> DataparserOutputs:
    """The images to train on.

    Args:
        config: the choice.
        dataparser: to ask for the other splits, where images are listed.
        train: its training split.

    Raises:
        InputError: there are fewer images than wanted, or the lists are not sound.
    """
    if config.split_file is not None:
        listed = read_split_file(config.split_file).train
        train = train if listed is None else _listed(config.split_file, "train", listed, dataparser, train)
    if config.n_images is None:
        return train
    n_there = len(train.image_filenames)
    return select_frames(train, choose(n_there, config.n_images, config.choice, config.seed))


def evaluation_images(
    config: SubsetConfig, dataparser: DataParser, train: DataparserOutputs, split: str
) -> DataparserOutputs:
    """The images to evaluate on: the list "test", whatever the split, or else the dataset's own.

    Args:
        config: the choice.
        dataparser: to ask for the splits.
        train: its training split.
        split: "val" or "test".

    Raises:
        InputError: the lists are not sound.
    """
    listed = None if config.split_file is None else read_split_file(config.split_file).test
    if config.split_file is None or listed is None:
        return held_out_images(dataparser, train, split)
    return _listed(config.split_file, "test", listed, dataparser, train)


def choose(n_there: int, n_wanted: int, choice: Literal["even", "first", "random"], seed: int = 0) -> list[int]:
    """Ascending indices of some of ``n_there`` images; see :class:`SubsetConfig`.

    Raises:
        InputError: there are fewer than wanted, or fewer than two are wanted.
    """
    if n_wanted < 2:
        raise InputError(f"subset: n_images {n_wanted}: a radiance field needs at least two views")
    if n_wanted > n_there:
        raise InputError(f"subset: n_images {n_wanted}: there are only {n_there} training images")
    if choice == "first":
        return list(range(n_wanted))
    if choice == "random":
        between = list(range(1, n_there - 1))
        random.Random(seed).shuffle(between)
        return sorted([0, *between[: n_wanted - 2], n_there - 1])
    # Rounded to the nearest index: i (n - 1) / (k - 1).
    gaps = n_wanted - 1
    return [(2 * i * (n_there - 1) + gaps) // (2 * gaps) for i in range(n_wanted)]


def read_split_file(path: Path) -> SplitLists:
    """Reads and checks a split file.

    Raises:
        InputError: it is missing, no JSON, or lists something other than names and numbers.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(f"split file {path}: cannot be read ({e.strerror or e}): give a JSON file") from e
    except ValueError as e:
        raise InputError(f'split file {path}: is no JSON ({e}): write {{"train": [...], "test": [...]}}') from e
    if not isinstance(content, dict) or not content or set(content) - {"train", "test"}:
        keys = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(
            f'split file {path}: must have the lists "train", "test" or both and nothing else, has: {keys}'
        )
    for split, entries in content.items():
        if not isinstance(entries, list) or not entries:
            raise InputError(f'split file {path}: "{split}" must be a list with at least one image, or be left out')
        for entry in entries:
            if isinstance(entry, bool) or not isinstance(entry, (str, int)):
                raise InputError(f'split file {path}: "{split}" lists {entry!r}: images are names or whole numbers')
    return SplitLists(content.get("train"), content.get("test"))


def _listed(
    path: Path, split: str, entries: Sequence[str | int], dataparser: DataParser, train: DataparserOutputs
) -> DataparserOutputs:
    splits = ("val",) if lacks_test_images(dataparser) else ("val", "test")
    others = [outputs for outputs in map(dataparser.get_dataparser_outputs, splits) if outputs.image_filenames]
    everything = join_frames([train, *others])
    found = find_images(entries, everything.image_filenames, f'split file {path}, "{split}"')
    return select_frames(everything, found)
