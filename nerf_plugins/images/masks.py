"""The one reader of masks, whatever tool stored them: how much of each pixel belongs to the scene, 0 to 255.

What is black or transparent is out. In a file without losses whose values are labels (0 and one other value, numbers up to 32, or
colours), all that is not black is in. Otherwise grey is a soft edge, and half of white is the border.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from nerf_plugins.errors import InputError
from nerf_plugins.images.reading import UNREADABLE, as_shown, full_range, is_numbers, problem, turned

_LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000")
_LARGEST_LABEL = 32
_NOISE = 32
"""Of a lossy format: a picture with nothing brighter is black."""


def read_mask(path: Path, size: tuple[int, int], photo: Path) -> Bool[np.ndarray, "height width"]:
    """What of a photo is used.

    Args:
        path: the mask's file.
        size: (width, height) of the photo as it is read; a mask of the same shape in another resolution is scaled (nearest pixel).
        photo: for messages.

    Raises:
        InputError: the mask cannot be read, or has another shape.
    """
    return read_alpha(path, size, photo, Image.Resampling.NEAREST) >= 128


def read_alpha(
    path: Path, size: tuple[int, int], photo: Path, resample: Image.Resampling = Image.Resampling.BILINEAR
) -> UInt8[np.ndarray, "height width"]:
    """The mask as an alpha channel, with its soft edges; arguments and errors as for :func:`read_mask`."""
    try:
        with Image.open(path) as image:
            alpha = as_alpha(_fitting_turn(image, size))
    except UNREADABLE as e:
        raise InputError(f"mask {path} of {photo.name} {problem(path, e, 'masks', 'replace it')}") from e
    height, width = alpha.shape
    if (width, height) == size:
        return alpha
    if not same_shape((width, height), size):
        raise InputError(
            f"mask {path} has {width}x{height} pixels, but its image {photo} {size[0]}x{size[1]}: both must have one shape"
        )
    return np.asarray(Image.fromarray(alpha).resize(size, resample))


def same_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether one of two sizes is the other one scaled, but for rounding to whole pixels (of the smaller one)."""
    (w, h), (big_w, big_h) = sorted((a, b))
    if (w == big_w) != (h == big_h):
        return False
    return abs(big_w * h - big_h * w) <= max(big_w, big_h)


def _fitting_turn(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Turned as EXIF says, unless only the stored pixels have the photo's shape."""
    shown = turned(image)
    if same_shape(shown.size, size) or not same_shape((shown.height, shown.width), size):
        return shown
    return turned(image, as_stored=True)


def as_alpha(image: Image.Image) -> UInt8[np.ndarray, "height width"]:
    """How much of each pixel of a decoded mask belongs to the scene, by the module's rules.

    Raises:
        ValueError: a value is not finite or negative.
    """
    is_lossy = image.format in _LOSSY
    if is_numbers(image):
        return _soft_or_labels(np.asarray(image), is_labels=False)
    pixels = np.asarray(as_shown(image))
    alpha = pixels[..., 3] if pixels.shape[-1] == 4 else np.full(pixels.shape[:2], 255, np.uint8)
    visible, rgb = alpha >= 128, pixels[..., :3]
    shades = rgb.max(axis=-1)
    if alpha.min() != alpha.max() and not _is_black_and_white(shades[visible]):
        return alpha  # a cut-out: its colours say nothing
    if is_lossy and shades.max() < _NOISE:
        return np.zeros_like(shades)
    is_coloured = not is_lossy and bool((rgb.min(axis=-1) != shades).any())
    found = _soft_or_labels(shades, is_labels=is_coloured, is_lossy=is_lossy)
    return np.where(visible, found, 0).astype(np.uint8) if alpha.min() != 255 else found


def _is_black_and_white(shades: UInt8[np.ndarray, "n"]) -> bool:
    values = np.unique(shades)
    return len(values) == 2 and values[0] == 0 and values[1] in (1, 255)


def _soft_or_labels(values: np.ndarray, is_labels: bool, is_lossy: bool = False) -> UInt8[np.ndarray, "height width"]:
    """Grey values of any type to 0 ... 255.

    Raises:
        ValueError: one is not finite or negative.
    """
    top, low = float(values.max()), float(values.min())
    if not (np.isfinite(top) and np.isfinite(low)) or low < 0:
        raise ValueError(f"its values reach from {low:g} to {top:g}; store 0 and 255")
    is_count = values.dtype.kind in "iub" and top <= _LARGEST_LABEL
    if not is_lossy and (is_labels or is_count or bool(((values == 0) | (values == top)).all())):
        return np.where(values > 0, 255, 0).astype(np.uint8)
    white = full_range(values.dtype, top) if top <= 65535 else top
    white = white if top >= white / 2 else top
    return np.round(255.0 * values.astype(np.float64) / white).astype(np.uint8)
