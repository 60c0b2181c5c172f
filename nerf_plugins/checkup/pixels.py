"""What the pixels of photos say: how bright and how sharp each is, and which are nearly the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from nerf_plugins.captures.photos import JUDGED_SIZE, sharpness
from nerf_plugins.captures.video import LEAST_CHANGE
from nerf_plugins.console import Remark
from nerf_plugins.errors import InputError
from nerf_plugins.wording import counted

PIXELS_AT_MOST = 1_000_000_000
"""That are decoded, which takes some 20 s: 83 photos of 12 megapixels."""
PHOTOS_AT_MOST, PHOTOS_AT_LEAST = 200, 20
UNEVEN = 1.0
"""Stops (factors of two) between a photo and its neighbours that are said to be odd."""
UNSTEADY = 0.25
"""Stops, of half of the photos. Eight captures of one light each had 0.01 to 0.11, one whose light changes 0.45."""
NEIGHBOURS = 6
"""Photos that see much the same; of all photos brightness says little: what is shown differs."""
BLURRED = 0.4
"""Of the median sharpness."""
_THUMBNAIL = (64, 48)
_NAMED = 4

Picture = tuple[UInt8[np.ndarray, "h w c"], Bool[np.ndarray, "h w"] | None]
"""A photo, RGB or RGBA, and which of its pixels are used; None: all."""


@dataclass(frozen=True)
class Look:
    """What is kept of a photo.

    Attributes:
        name: of its file.
        exposure: base-2 logarithm of the mean luminance of what is used of it.
        sharpness: as `captures.photos.sharpness` measures it.
        thumbnail: grey, on white.
        shares: how much of the thumbnail's pixels is used, 0 to 1.
    """

    name: str
    exposure: float
    sharpness: float
    thumbnail: Float[np.ndarray, "h w"]
    shares: Float[np.ndarray, "h w"]


def look_at(name: str, picture: Picture) -> Look:
    """Judges a photo; what its mask leaves out or its alpha hides is left out."""
    rgb, used = picture
    scale = JUDGED_SIZE / max(rgb.shape[:2])
    if scale < 1:
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    share = np.ones(rgb.shape[:2]) if rgb.shape[2] == 3 else rgb[..., 3] / 255.0
    if used is not None:
        share = share * cv2.resize(used.astype(np.float64), rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
    luminance = (rgb[..., :3] / 255.0) ** 2.2 @ np.array([0.2126, 0.7152, 0.0722])
    mean = (luminance * share).sum() / max(share.sum(), 1e-6)
    grey = np.round(cv2.cvtColor(rgb[..., :3], cv2.COLOR_RGB2GRAY) * share + 255 * (1 - share)).astype(np.uint8)
    thumbnail, shares = (
        cv2.resize(x.astype(np.float64), _THUMBNAIL, interpolation=cv2.INTER_AREA) for x in (grey, share)
    )
    return Look(name, float(np.log2(max(mean, 1e-5))), sharpness(grey), thumbnail, shares)


def chosen(count: int, pixels: int) -> list[int]:
    """Which of `count` photos of so many pixels are looked at: all, or as many as are quickly read, evenly spread."""
    n = min(count, int(np.clip(PIXELS_AT_MOST / max(pixels, 1), PHOTOS_AT_LEAST, PHOTOS_AT_MOST)))
    return np.unique(np.linspace(0, count - 1, n).round().astype(int)).tolist()


def look(
    names: Sequence[str], read: Callable[[int], Picture], indices: Iterable[int]
) -> tuple[dict[int, Look], list[str]]:
    """Reads photos one by one.

    Returns:
        By index what is seen in each photo, and of those that cannot be read why.
    """
    looks, broken = {}, []
    for i in indices:
        try:
            looks[i] = look_at(names[i], read(i))
        except InputError as e:
            broken.append(str(e))
    return looks, broken


def neighbours_in_order(count: int) -> Int[np.ndarray, "n k"]:
    """Of each of several photos the indices of those taken before and after it."""
    gaps = np.abs(np.arange(count)[:, None] - np.arange(count))
    return np.argsort(gaps, axis=1, kind="stable")[:, 1 : NEIGHBOURS + 1]


def exposure_remark(looks: Sequence[Look], neighbours: Int[np.ndarray, "n k"]) -> Remark:
    """How much brighter or darker photos are than their neighbours, which see much the same.

    Args:
        looks: what was seen.
        neighbours: indices of the neighbours of each.
    """
    exposures = np.array([item.exposure for item in looks])
    stops = exposures - np.median(exposures[neighbours], axis=1)
    usual, worst = float(np.median(np.abs(stops))), int(np.abs(stops).argmax())
    apart = int((np.abs(stops) > UNEVEN).sum())
    line = f"Brightness: half of the photos within {usual:.2f} stops of their neighbours, {looks[worst].name} {stops[worst]:+.1f}"
    if usual > UNSTEADY:
        return Remark(f"{line}: exposure or light changes from photo to photo, which gives fog; fix them.", is_odd=True)
    if apart:
        return Remark(f"{line}; {apart} of {len(looks)} by more than one stop.", is_odd=True)
    return Remark(f"{line}.")


def blur_remark(looks: Sequence[Look]) -> Remark:
    """Which photos are much less sharp than the others."""
    usual = max(float(np.median([item.sharpness for item in looks])), 1e-12)
    blurred = sorted((item.sharpness / usual, item.name) for item in looks if item.sharpness < BLURRED * usual)
    if not blurred:
        return Remark("Sharpness: no photo is much less sharp than the others.")
    named = ", ".join(f"{name} ({share:.2f})" for share, name in blurred[:_NAMED])
    more = ", ..." if len(blurred) > _NAMED else ""
    return Remark(
        f"Sharpness: {len(blurred)} of {len(looks)} photos have less than {BLURRED:g} of the usual: {named}{more}; blurred, or of smooth "
        "things.",
        is_odd=True,
    )


def twin_remark(looks: Sequence[Look]) -> Remark | None:
    """Which photos show nearly what another one does."""
    thumbnails, shares = np.stack([item.thumbnail for item in looks]), np.stack([item.shares for item in looks])
    twins = []
    for i in range(1, len(looks)):
        either = np.maximum(shares[:i], shares[i]).sum(axis=(1, 2))
        change = np.abs(thumbnails[:i] - thumbnails[i]).sum(axis=(1, 2)) / np.maximum(either, 1e-6)
        if change.min() < LEAST_CHANGE:
            twins.append((looks[i].name, looks[int(change.argmin())].name))
    if not twins:
        return None
    named = ", ".join(f"{a} as {b}" for a, b in twins[:_NAMED]) + (", ..." if len(twins) > _NAMED else "")
    return Remark(f"{len(twins)} of {len(looks)} photos show nearly what another one does ({named}).", is_odd=True)


def copy_remark(paths: Sequence[Path]) -> Remark | None:
    """Which files are the same bytes; only files of one size are read."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        by_size[path.stat().st_size].append(path)
    copies, first = [], {}
    for path in (path for members in by_size.values() if len(members) > 1 for path in members):
        earlier = first.setdefault(_digest(path), path)
        if earlier is not path:
            copies.append(f"{path.name} of {earlier.name}")
    if not copies:
        return None
    more = ", ..." if len(copies) > _NAMED else ""
    return Remark(
        f"{counted(len(copies), 'photo is a copy', 'photos are copies')} of another file: {', '.join(copies[:_NAMED])}{more}.",
        is_odd=True,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
