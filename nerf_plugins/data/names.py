"""Names of images: how a user refers to them, and how those of a checkpoint are found again."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from nerf_plugins.errors import InputError
from nerf_plugins.images.pairing import natural_key

_SMALLEST_COPY = 16


def dataset_folder(manager: Any) -> Path:
    """The folder of a data manager's dataset, which `image_names` are within.

    Args:
        manager: its config, of any method; its ``data``, where given, stands for the dataparser's. Data may be a file in the folder,
            such as ``transforms.json``. The working directory where nothing is given.
    """
    data = Path(manager.data or manager.dataparser.data or "")
    return data.parent if data.is_file() else data


def image_names(paths: Sequence[Path], root: Path) -> list[str]:
    """The images' paths within the dataset's folder, with forward slashes; whole paths for those outside of it."""
    return [(path.relative_to(root) if path.is_relative_to(root) else path).as_posix() for path in paths]


def natural_order(paths: Sequence[Path]) -> list[int]:
    """Indices of the paths in alphabetical order, runs of digits compared as numbers: r_2 before r_10."""
    return sorted(range(len(paths)), key=lambda i: natural_key(paths[i].as_posix()))


def find_images(
    entries: Sequence[str | int], paths: Sequence[Path], what: str, kind: str = "image of the dataset"
) -> list[int]:
    """Finds the images that a list refers to.

    Args:
        entries: a name is the end of an image's path, with or without the file's ending ("r_3", "train/r_3.png"); a number counts the
            paths in their natural order, from 0.
        paths: of the images there are.
        what: the list, for messages.
        kind: what one of the paths is, for messages.

    Returns:
        An index into ``paths`` for each entry.

    Raises:
        InputError: an entry is unknown, means several images, is out of range, or means the same image as another one.
    """
    order, known = natural_order(paths), _ends_of(paths)
    found = [_find(entry, known, order, paths, what, kind) for entry in entries]
    listed: dict[int, str | int] = {}
    for entry, i in zip(entries, found):
        if i in listed:
            raise InputError(f"{what}: {listed[i]!r} and {entry!r} are the same image ({paths[i]}): list it once")
        listed[i] = entry
    return found


def match_images(names: Sequence[str], earlier: Sequence[str]) -> list[int | None]:
    """For each name the index of the same image among earlier names: that of the same path, or else the only one of the same file name
    without its ending (the folder and the ending of images of another resolution differ). None where there is none."""
    by_path = {name: i for i, name in enumerate(earlier)}
    by_stem = _unique_stems(earlier)
    own_stems = _unique_stems(names)
    matched = [
        by_path.get(name, by_stem.get(PurePosixPath(name).stem) if PurePosixPath(name).stem in own_stems else None)
        for name in names
    ]
    return matched


def _unique_stems(names: Sequence[str]) -> dict[str, int]:
    places: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        places[PurePosixPath(name).stem].append(i)
    return {stem: found[0] for stem, found in places.items() if len(found) == 1}


def _ends_of(paths: Sequence[Path]) -> dict[str, list[int]]:
    """All ends of the paths, with and without the files' endings, and the images that have them."""
    known: dict[str, list[int]] = defaultdict(list)
    for i, path in enumerate(paths):
        for whole in (path, path.with_suffix("")):
            known[whole.as_posix()].append(i)
            for k in range(1, len(whole.parts)):
                known["/".join(whole.parts[-k:])].append(i)
    return known


def _find(
    entry: str | int, known: dict[str, list[int]], order: list[int], paths: Sequence[Path], what: str, kind: str
) -> int:
    if isinstance(entry, int):
        if not 0 <= entry < len(order):
            raise InputError(f"{what}: there is no image {entry}: the dataset's {len(order)} images count from 0")
        return order[entry]
    hits = list(dict.fromkeys(known.get(PurePosixPath(entry.replace("\\", "/")).as_posix(), [])))
    if len(hits) == 1:
        return hits[0]
    if hits:
        several = ", ".join("/".join(paths[i].parts[-2:]) for i in hits[:3])
        raise InputError(f"{what}: {entry!r} means {len(hits)} images ({several}): write its folder too")
    close = difflib.get_close_matches(entry, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InputError(f"{what}: no {kind} is called {entry!r}{hint}")


def whole_folder(name: str) -> tuple[str, int]:
    """Of a folder of smaller copies the name of that of the whole photos, and how many times these are larger: `images_4`: `images`, 4.
    Of any other its own name, and 1: `scan_24` is none."""
    whole, _, factor = name.rpartition("_")
    is_copy = bool(whole) and factor.isdecimal() and 2 <= int(factor) <= _SMALLEST_COPY
    return (whole, int(factor)) if is_copy else (name, 1)
