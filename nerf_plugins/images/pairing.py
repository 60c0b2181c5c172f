"""Which files of two folders, or which files and numbered cameras, belong together: by their names where these tell, else by order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nerf_plugins.errors import InputError

Key = list[tuple[int, int, str]]


def natural_key(name: str) -> Key:
    """Sorts names with runs of digits compared as numbers: r_2 before r_10."""
    pieces = re.split(r"(\d+)", name)
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces if piece]


def in_natural_order(paths: Sequence[Path]) -> list[Path]:
    """The paths sorted by their names, naturally."""
    return sorted(paths, key=lambda path: (natural_key(path.name), path.name))


def orders_differ(paths: Sequence[Path]) -> bool:
    """Whether the names' order as strings is another one than the natural one."""
    return sorted(paths, key=lambda path: path.name) != in_natural_order(paths)


def numbers_of(paths: Sequence[Path]) -> list[int] | None:
    """The one number in which the names differ, for each path (7 of view_0007.png); None where they differ in more or less."""
    pieces = [re.split(r"(\d+)", path.stem) for path in paths]
    texts = {tuple(piece[::2]) for piece in pieces}
    if not pieces or len(texts) != 1:
        return None
    columns = list(zip(*(piece[1::2] for piece in pieces)))
    varying = [column for column in columns if len(set(column)) > 1]
    if len(pieces) == 1:
        varying = columns[-1:]
    if len(varying) != 1 or not all(digits.isdecimal() for digits in varying[0]):
        return None
    numbers = [int(digits) for digits in varying[0]]
    return numbers if len(set(numbers)) == len(numbers) else None


class Ordered(NamedTuple):
    """Images in the order of the cameras."""

    images: list[Path]
    is_told: bool
    """Whether the names' numbers are those of the cameras."""


def order_by_number(images: Sequence[Path], count: int) -> Ordered:
    """The images for cameras 0 ... ``count`` - 1: by the number in their names where these are just those of the cameras, naturally
    ordered otherwise."""
    numbers = numbers_of(images)
    ordered = in_natural_order(images)
    if numbers is not None and set(numbers) == set(range(count)):
        return Ordered([path for _, path in sorted(zip(numbers, images))], True)
    return Ordered(ordered, False)


def pair_by_name(images: Sequence[Path], others: Sequence[Path], what: str) -> list[Path] | None:
    """For each image the file that belongs to it: of the same name, of its name with one addition (mask_X, X_mask, X.jpg.png), or of
    the same number.

    Args:
        images: of one folder.
        others: of another folder.
        what: an other is, for messages.

    Returns:
        None: the names do not tell.

    Raises:
        InputError: the names tell, but some image has no partner.
    """
    best: dict[int, Path] = {}
    for found in (_same_stems(images, others), _with_addition(images, others), _same_numbers(images, others)):
        if len(found) == len(images):
            return [found[i] for i in range(len(images))]
        best = max(best, found, key=len)
    if 2 * len(best) <= len(images):
        return None
    lonely = next(path for i, path in enumerate(images) if i not in best)
    unused = sorted(set(others) - set(best.values()), key=lambda path: natural_key(path.name))
    there = f", and {unused[0].name} no image" if unused else ""
    raise InputError(
        f"{lonely}: has no {what} in {others[0].parent}{there}; each image needs its {what}, of the same name or number"
    )


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _same_stems(images: Sequence[Path], others: Sequence[Path]) -> dict[int, Path]:
    known: dict[str, list[Path]] = {}
    for path in others:
        known.setdefault(_plain(path.stem), []).append(path)
    hits = {i: known.get(_plain(path.name)) or known.get(_plain(path.stem)) for i, path in enumerate(images)}
    return {i: paths[0] for i, paths in hits.items() if paths and len(paths) == 1}


def _with_addition(images: Sequence[Path], others: Sequence[Path]) -> dict[int, Path]:
    """By the addition, the same before and after all names, with which most images find their file."""
    stems = {_plain(path.stem): path for path in others}
    best: dict[int, Path] = {}
    tried = set()
    first = _plain(images[0].stem)
    for stem in stems:
        place = stem.find(first)
        while place >= 0:
            addition = (stem[:place], stem[place + len(first) :])
            if addition not in tried:
                tried.add(addition)
                named = {i: stems.get(addition[0] + _plain(path.stem) + addition[1]) for i, path in enumerate(images)}
                best = max(best, {i: path for i, path in named.items() if path is not None}, key=len)
            place = stem.find(first, place + 1)
    return best


def _same_numbers(images: Sequence[Path], others: Sequence[Path]) -> dict[int, Path]:
    own, theirs = numbers_of(images), numbers_of(others)
    if own is None or theirs is None:
        return {}
    known = dict(zip(theirs, others))
    return {i: known[number] for i, number in enumerate(own) if number in known}
