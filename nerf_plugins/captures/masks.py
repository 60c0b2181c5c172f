"""Masks beside the photos: found by name, upright, 8-bit; black where nothing is to be learnt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageOps

from nerf_plugins.captures.files import save_picture
from nerf_plugins.captures.photos import Photo
from nerf_plugins.errors import InputError
from nerf_plugins.images.masks import as_alpha
from nerf_plugins.images.reading import UNREADABLE, turned

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_ENDINGS = ("", "_mask", ".mask", "-mask")


def masks_folder(photos: Path, given: Path | None) -> Path | None:
    """The folder given, else `masks` in the photos' folder or beside it, where there is one.

    Raises:
        InputError: the one given is none.
    """
    if given is not None:
        if not given.is_dir():
            raise InputError(f"--masks {given}: is no folder")
        return given
    return next((folder for folder in (photos / "masks", photos.parent / "masks") if folder.is_dir()), None)


def find_masks(photos: Sequence[Photo], folder: Path) -> dict[str, Path]:
    """The mask of each photo that has one, by the photo's name in the dataset.

    A mask is named as its photo, with its ending or not, or with `_mask` after it: `a.png`, `a.jpg.png`, `a_mask.png` for `a.jpg`.

    Raises:
        InputError: no photo has one, or one has two.
    """
    files: dict[str, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and not p.name.startswith(".")):
        if path.stem in files:
            raise InputError(f"{folder}: {files[path.stem].name} and {path.name} have one name; keep one of them")
        files[path.stem] = path
    found = {}
    for photo in photos:
        stems = [name + ending for name in (photo.path.stem, photo.path.name) for ending in _ENDINGS]
        hits = [files[stem] for stem in stems if stem in files]
        if len(hits) > 1:
            raise InputError(f"{photo.path.name}: has two masks, {hits[0].name} and {hits[1].name}; keep one of them")
        if hits:
            found[photo.name] = hits[0]
    if not found:
        raise InputError(
            f"{folder}: no mask there is named as a photo ({photos[0].path.stem}.png for {photos[0].path.name}); rename or move them"
        )
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
