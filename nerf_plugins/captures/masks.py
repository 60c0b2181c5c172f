"""Masks beside the photos: found by name, upright, 8-bit; black where nothing is to be learnt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageOps

from nerf_plugins.captures.files import save_picture
from nerf_plugins.captures.photos import Photo
from nerf_plugins.errors import InputError, near_path
from nerf_plugins.images.masks import as_alpha
from nerf_plugins.images.reading import UNREADABLE, turned

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_ENDINGS = ("", "_mask", ".mask", "-mask")


class Found(NamedTuple):
    """The mask of each photo that has one, by the photo's name in the dataset, and what is to be said of where they are from."""

    masks: dict[str, Path]
    note: str | None


def choose_masks(photos: Sequence[Photo], folder: Path, choice: Path | Literal["auto", "none"]) -> Found:
    """The masks of the folder given, or of one that is found.

    Args:
        photos: of one folder.
        folder: theirs.
        choice: a folder of masks; auto: `masks` in the photos' folder or beside it, which may be another capture's and is therefore
            named; none: no masks.

    Raises:
        InputError: the folder given is none or has no mask of a photo, or a photo has two.
    """
    if isinstance(choice, Path):
        if not choice.is_dir():
            raise InputError(f"--masks {choice}: is no folder{near_path(choice)}")
        masks = find_masks(photos, choice)
        if not masks:
            raise InputError(f"{choice}: {_unnamed(photos)}; rename or move them, or give --masks none")
        return Found(masks, None)
    there = [path for path in (folder / "masks", folder.parent / "masks") if path.is_dir()]
    if choice == "none" or not there:
        return Found({}, None)
    masks = find_masks(photos, there[0])
    if not masks:
        return Found({}, f"{there[0]}: {_unnamed(photos)}; none of them is used")
    used = f"masks of {len(masks)} of {len(photos)} photos were found there and are used"
    return Found(masks, f"{there[0]}: {used}; --masks none leaves them out")


def _unnamed(photos: Sequence[Photo]) -> str:
    return f"no mask there is named as a photo ({photos[0].path.stem}.png for {photos[0].path.name})"


def find_masks(photos: Sequence[Photo], folder: Path) -> dict[str, Path]:
    """The mask of each photo that has one, by the photo's name in the dataset.

    A mask is named as its photo, with its ending or not, or with `_mask` after it: `a.png`, `a.jpg.png`, `a_mask.png` for `a.jpg`.

    Raises:
        InputError: a photo has two.
    """
    files: dict[str, list[Path]] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and not p.name.startswith(".")):
        files.setdefault(path.stem, []).append(path)
    found = {}
    for photo in photos:
        stems = [name + ending for name in (photo.path.stem, photo.path.name) for ending in _ENDINGS]
        hits = [path for stem in stems for path in files.get(stem, [])]
        if len(hits) > 1:
            names = f"{hits[0].name} and {hits[1].name}"
            raise InputError(
                f"{photo.path.name}: has two masks in {folder}, {names}; keep one of them, or give --masks none"
            )
        if hits:
            found[photo.name] = hits[0]
    return found


def read_mask(path: Path, photo: Photo) -> Bool[np.ndarray, "height width"]:
    """True where the photo is to be used, by the rules of :mod:`nerf_plugins.images.masks`.

    Raises:
        InputError: it cannot be read, is all black, or of another shape than the photo.
    """
    try:
        with Image.open(path) as file:
            values = as_alpha(turned(file))
    except UNREADABLE as e:
        raise InputError(f"{path}: not a readable mask ({e}); replace it or take it away") from e
    width, height = photo.size
    if values.shape == (width, height) and width != height and photo.orientation >= 5:  # made from the pixels as stored
        values = np.asarray(_turned(Image.fromarray(values), photo.orientation))
    if values.shape != (height, width):
        if abs(values.shape[1] * height - values.shape[0] * width) > max(values.shape) * max(width, height) * 0.01:
            raise InputError(
                f"{path}: is {values.shape[1]} x {values.shape[0]} and its photo {photo.path.name} {width} x {height}; make it that size"
            )
        values = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.NEAREST))
    mask = values >= 128
    if not mask.any():
        raise InputError(f"{path}: the mask of {photo.path.name} is all black, so nothing of the photo would be used")
    return mask


def opaque(path: Path) -> Bool[np.ndarray, "height width"]:
    """True where a picture is more opaque than transparent; everywhere where it has no transparency."""
    with Image.open(path) as image:
        if image.mode != "RGBA":
            return np.ones(image.size[::-1], dtype=bool)
        return np.asarray(image)[..., 3] > 127


def write_mask(mask: Bool[np.ndarray, "height width"], path: Path) -> None:
    """As 8-bit grey PNG, white where true; whole or not there."""
    save_picture(Image.fromarray(mask.astype(np.uint8) * 255), path)


def shrunk(mask: Bool[np.ndarray, "height width"], factor: int) -> Bool[np.ndarray, "h w"]:
    """True where all `factor`² pixels are: a mixed pixel shows something of what is masked."""
    height, width = (side // factor for side in mask.shape)
    cut = mask[: height * factor, : width * factor]
    return cut.reshape(height, factor, width, factor).all(axis=(1, 3))


def _turned(values: Image.Image, orientation: int) -> Image.Image:
    values.getexif()[0x0112] = orientation
    return ImageOps.exif_transpose(values)
