"""Photos as people have them, and upright 8-bit copies of them as every tool reads them alike.

nerfstudio and COLMAP ignore, or heed, a file's EXIF orientation differently; of the copies the pixels themselves are upright.
"""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from PIL import Image

from nerf_plugins.captures.files import finished, save_picture
from nerf_plugins.captures.folders import instead_of_photos
from nerf_plugins.captures.job import CameraGroup
from nerf_plugins.errors import InputError
from nerf_plugins.images.kinds import photos_in
from nerf_plugins.images.reading import UNREADABLE, as_shown, has_alpha, turned
from nerf_plugins.wording import counted

_LOSSY = ("JPEG", "MPO", "WEBP", "HEIF")
_EXIF, _MAKE, _MODEL, _ORIENTATION = 0x8769, 0x010F, 0x0110, 0x0112
_FOCAL, _FOCAL_35, _LENS = 0x920A, 0xA405, 0xA434
_PLANE_X, _PLANE_UNIT, _PIXELS_X = 0xA20E, 0xA210, 0xA002
_UNITS = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # of the focal plane's resolution, in mm
DIAGONAL_35 = hypot(36.0, 24.0)
"""Of 35 mm film, in mm: focal lengths "in 35 mm film" (EXIF 2.3, CIPA DCG-001) compare diagonals."""
GUESSED_FOCAL = 1.2
"""Focal length over the longer side where nothing is known: 45 degrees, between phones (1.0 to 1.1) and longer lenses."""
JUDGED_SIZE = 640
"""Longer side at which sharpness is judged, so that it does not depend on the photos' size."""


@dataclass(frozen=True)
class Photo:
    """What a photo's header says.

    Attributes:
        path: of the file.
        name: of its upright copy, unique among the photos.
        size: width and height, upright.
        orientation: EXIF's, 1 to 8; 1 is upright.
        focal: in pixels by EXIF, or None.
        camera: make, model, lens and focal length; photos of one size that agree in it share a camera.
        is_plain: a file of it needs no conversion.
    """

    path: Path
    name: str
    size: tuple[int, int]
    orientation: int
    focal: float | None
    camera: tuple[str, ...]
    is_plain: bool


def list_photos(folder: Path) -> list[Path]:
    """The photos in a folder by name.

    Raises:
        InputError: there are none, or two would have one name.
    """
    photos = photos_in(folder)
    lost = [p for p in photos if not p.is_file()]
    if lost:
        raise InputError(f"{lost[0]}: is a link that leads to no file; replace it or take it away")
    if not photos:
        raise InputError(f"{folder}: {instead_of_photos(folder)}")
    names: dict[str, Path] = {}
    for path in photos:
        other = names.setdefault(safe_name(path).lower(), path)
        if other is not path:
            raise InputError(f"{folder}: {other.name} and {path.name} have one name; keep one of them, or rename it")
    return photos


def read_folder(folder: Path) -> tuple[Photo, ...]:
    """The headers of the photos in a folder.

    Raises:
        InputError: they are fewer than a scene needs, or one is broken.
    """
    found = tuple(read_header(path) for path in list_photos(folder))
    if len(found) < 3:
        raise InputError(
            f"{folder}: has {counted(len(found), 'photo')}; three see a scene at least, and twenty or more see it well"
        )
    return found


def safe_name(path: Path) -> str:
    """The name of a photo's copy, without its ending: COLMAP's lists of pairs bear no blanks, and no # at the start."""
    return re.sub(r"[\s#]+", "_", path.stem)


def read_header(path: Path) -> Photo:
    """What is known of a photo before its pixels are read.

    Raises:
        InputError: it is no readable image, or smaller than features can be found in.
    """
    with _opened(path) as image:
        tags = image.getexif()
        exif = {**tags, **tags.get_ifd(_EXIF)}
        orientation = int(exif.get(_ORIENTATION) or 1)
        orientation = orientation if 1 <= orientation <= 8 else 1
        width, height = image.size if orientation < 5 else image.size[::-1]
        is_plain = orientation == 1 and "transparency" not in image.info and (image.format, image.mode) in (
            ("JPEG", "RGB"), ("MPO", "RGB"), ("PNG", "RGB"), ("PNG", "RGBA"),
        )  # fmt: skip
        suffix = ".jpg" if image.format in _LOSSY and not has_alpha(image) else ".png"
        focal = focal_in_pixels(exif, *image.size)
    if min(width, height) < 64:
        raise InputError(f"{path}: {width} x {height} pixels are too few to find features in")
    camera = tuple(str(exif.get(tag, "")).strip("\0 ") for tag in (_MAKE, _MODEL, _LENS, _FOCAL, _FOCAL_35))
    return Photo(path, safe_name(path) + suffix, (width, height), orientation, focal, camera, is_plain)


def focal_in_pixels(exif: dict[int, Any], width: int, height: int) -> float | None:
    """The focal length by EXIF tags: from its equivalent for 35 mm film, or from the resolution of the focal plane."""
    film = _number(exif.get(_FOCAL_35))
    if film:
        return film / DIAGONAL_35 * hypot(width, height)
    focal, resolution = _number(exif.get(_FOCAL)), _number(exif.get(_PLANE_X))
    unit = _UNITS.get(int(_number(exif.get(_PLANE_UNIT)) or 2))
    if focal and resolution and unit:
        stored = _number(exif.get(_PIXELS_X)) or max(width, height)
        return focal * resolution / unit * max(width, height) / stored
    return None


def _number(value: Any) -> float | None:
    """A positive finite number, or None: tags may be missing, 0, or 0/0."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if 0.0 < number < 1e9 else None


def group_cameras(photos: Sequence[Photo], sharing: Literal["auto", "one", "each"]) -> tuple[CameraGroup, ...]:
    """Which photos share a camera, by the option `--cameras`; each group's focal length is the median of the known ones."""
    groups: dict[tuple[Any, ...], list[Photo]] = {}
    for photo in photos:
        key = {"auto": (photo.size, photo.camera), "one": (photo.size,), "each": (photo.name,)}[sharing]
        groups.setdefault(key, []).append(photo)
    return tuple(_group(members) for members in groups.values())


def _group(members: Sequence[Photo]) -> CameraGroup:
    known = [photo.focal for photo in members if photo.focal]
    width, height = members[0].size
    focal = float(np.median(known)) if known else GUESSED_FOCAL * max(width, height)
    return CameraGroup(tuple(photo.name for photo in members), width, height, focal, bool(known))


def write_upright(photo: Photo, path: Path) -> None:
    """Writes a photo's copy: the file itself where it is plain, else JPEG or, of a lossless photo or one with transparency, PNG.

    Raises:
        InputError: the photo is broken.
    """
    image = read_upright(photo.path)
    if photo.is_plain:
        with finished(path) as part:
            shutil.copyfile(photo.path, part)
    else:
        save_picture(image, path, icc_profile=image.info.get("icc_profile"))


def read_upright(path: Path) -> Image.Image:
    """The picture as a viewer shows it: upright, RGB, or RGBA where it has transparency.

    Raises:
        InputError: it is no readable image.
    """
    with _opened(path) as image:
        try:
            profile = image.info.get("icc_profile")
            shown = as_shown(_upper_eight_bits(turned(image)))
        except UNREADABLE as e:
            raise InputError(f"{path}: the image is broken ({e}); replace it or take it away") from e
    shown.info["icc_profile"] = profile
    return shown


def _upper_eight_bits(image: Image.Image) -> Image.Image:
    """Of whole grey numbers: a photo's copy has the bytes that its file has."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    return image


def _opened(path: Path) -> Image.Image:
    if path.suffix.lower() in (".heic", ".heif"):
        _open_heif(path)
    try:
        return Image.open(path)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise InputError(f"{path}: not a readable image ({e}); replace it or take it away") from e


def _open_heif(path: Path) -> None:
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as e:
        raise InputError(
            f'{path}: HEIC needs pillow-heif: pip install pillow-heif, or let the phone save "most compatible" photos (JPEG)'
        ) from e


def sharpness(grey: np.ndarray) -> float:
    """How sharp an 8-bit grey picture is: the variance of its Laplacian at `JUDGED_SIZE`, over that of its values.

    The division makes dark and low-contrast pictures comparable; blur takes the Laplacian away first.
    """
    scale = JUDGED_SIZE / max(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    values = small.astype(np.float32)
    return float(cv2.Laplacian(values, cv2.CV_32F).var() / max(float(values.var()), 1.0))
