"""The one reader of pictures: whatever a file's mode, depth, palette or orientation, 8 bits a channel as a viewer shows it.

Colour profiles are not applied, as nerfstudio applies none. Numbers without a range of their own are taken by these rules: 16-bit grey
is divided by 257; 32-bit integers by 257 if one is above 255; floats are in [0, 1], or in [0, 255] if one is above 1, or in [0, 65535]
if one is above 255.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from PIL import Image, ImageCms

from nerf_plugins.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif")
"""Endings of the files that count as pictures in a folder."""

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for a broken file."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BACK = {6: 8, 8: 6}
"""What undoes an orientation that does not undo itself."""
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


class Header(NamedTuple):
    """What a file says of its picture before its pixels are read: sizes are (width, height)."""

    stored_size: tuple[int, int]
    orientation: int
    """EXIF's, 1 to 8; 1: shown as stored."""
    has_alpha: bool

    @property
    def size(self) -> tuple[int, int]:
        """As shown."""
        width, height = self.stored_size
        return (height, width) if self.orientation > 4 else (width, height)


def read_header(path: Path) -> Header:
    """Sizes, orientation and whether there is transparency.

    Raises:
        InputError: there is no such file, or it is no picture.
    """
    with _opened(path, "image") as image:
        return Header(_stored_size(image), _orientation(image), has_alpha(image))


def read_image(path: Path, as_stored: bool = False) -> UInt8[np.ndarray, "height width channels"]:
    """A picture, RGB or, where the file has any kind of transparency, RGBA (not premultiplied).

    Args:
        path: of the file.
        as_stored: leave the pixels where the file has them instead of turning the picture as its EXIF orientation says.

    Raises:
        InputError: there is no such file, it is broken, or its numbers have no known range.
    """
    with _opened(path, "image") as image:
        return np.asarray(as_shown(turned(image, as_stored)))


def check_readable(path: Path) -> None:
    """Decodes the whole picture once, JPEG at an eighth of its size, to find a truncated file now.

    Raises:
        InputError: it is broken.
    """
    with _opened(path, "image") as image:
        image.draft("RGB", (1, 1))
        image.load()


@contextmanager
def _opened(path: Path, what: str) -> Iterator[Image.Image]:
    """An open file; whatever goes wrong with it is one line that names it."""
    try:
        with Image.open(path) as image:
            yield image
    except InputError:
        raise
    except UNREADABLE as e:
        raise InputError(f"{what} {path} {problem(path, e, 'frames', 'replace it or leave it out')}") from e


def problem(path: Path, error: Exception, listed: str, advice: str) -> str:
    """What is wrong with a file that could not be read, and what to do.

    Args:
        path: of the file.
        error: what reading it raised.
        listed: what the dataset calls such files, in the plural.
        advice: what to do with a broken one.
    """
    if not path.exists():
        return f"does not exist: check the {listed} that the dataset lists"
    if path.is_dir():
        return "is a folder: give a file"
    if path.suffix.lower() in (".heic", ".heif"):
        return "cannot be read (HEIC): convert it to JPEG or PNG"
    reason = (
        str(error).replace(str(path), path.name).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    )
    return f"cannot be read ({reason}): {advice}"


def turned(image: Image.Image, as_stored: bool = False) -> Image.Image:
    """Decoded, and turned as its EXIF orientation says."""
    sixteen, orientation = _is_sixteen_bit_color(image), _orientation(image)
    image.load()
    key = image.info.get("transparency")
    if sixteen and isinstance(key, tuple):  # Pillow keeps the high bytes of the colours, but not of the transparent one
        image.info["transparency"] = tuple(value >> 8 for value in key)
    left = _orientation(image)  # Pillow turns TIFF itself, and finds what stands behind a PNG's pixels only now
    if as_stored:
        turn = _BACK.get(orientation, orientation) if left == 1 else 1
    else:
        turn = left
    if turn == 1:
        return image
    info, format_ = image.info, image.format
    image = image.transpose(_TURNS[turn])
    image.info, image.format = info, format_
    return image


def as_shown(image: Image.Image) -> Image.Image:
    """A decoded picture in mode RGB or RGBA."""
    mode, key = image.mode, image.info.get("transparency")
    if is_numbers(image):
        numbers = np.asarray(image)
        grey = np.round(255.0 * unit_range(numbers)).astype(np.uint8)
        if isinstance(key, int):
            alpha = np.where(numbers == key, 0, 255).astype(np.uint8)
            return Image.fromarray(np.stack([grey, grey, grey, alpha], axis=-1))
        return Image.fromarray(grey).convert("RGB")
    if mode == "LAB":
        return _from_lab(image)
    if mode in ("La", "RGBa"):  # premultiplied
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[mode])
    return image.convert("RGBA" if has_alpha(image) else "RGB")


def has_alpha(image: Image.Image) -> bool:
    """Whether a file speaks of transparency: a channel, a palette's or one transparent colour."""
    return image.mode in _WITH_ALPHA or "transparency" in image.info


def is_numbers(image: Image.Image) -> bool:
    """Whether the pixels are grey values of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def unit_range(numbers: Shaped[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Grey values in [0, 1], by the module's rules.

    Raises:
        ValueError: one is not finite, negative or above 65535.
    """
    top, low = float(np.max(numbers)), float(np.min(numbers))
    if not (np.isfinite(top) and np.isfinite(low)) or low < 0 or top > 65535:
        raise ValueError(f"its values reach from {low:g} to {top:g}; store it with 8 bits a channel")
    return numbers.astype(np.float64) / full_range(numbers.dtype, top)


def full_range(dtype: np.dtype, top: float) -> float:
    """The value of white for numbers of this type of which ``top`` is the largest."""
    if dtype.kind == "f" and top <= 1.0:
        return 1.0
    if dtype.itemsize == 1 or (dtype.itemsize > 2 and top <= 255.0):
        return 255.0
    return 65535.0


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Pillow gives the size of a TIFF as shown or as stored, which depends on its version; the tags are the stored one."""
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    return (int(tags[256]), int(tags[257])) if 256 in tags and 257 in tags else image.size


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 where there is none or no sense in it. That of a PNG is in its text chunks, which need no pixels."""
    try:
        if image.format == "PNG" and not {"exif", "Raw profile type exif", "XML:com.adobe.xmp"} & image.info.keys():
            return 1  # asking would decode the whole file
        orientation = image.getexif().get(_ORIENTATION, 1)
    except UNREADABLE:
        return 1
    return orientation if orientation in _TURNS else 1


def _is_sixteen_bit_color(image: Image.Image) -> bool:
    """Whether Pillow is about to keep the high bytes of 16-bit colours."""
    tiles = getattr(image, "tile", None)
    if image.mode != "RGB" or not tiles:
        return False
    args = tiles[0][3]
    raw = args if isinstance(args, str) else args[0] if args else ""
    return isinstance(raw, str) and "16" in raw


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    shown = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert shown is not None
    return shown
