"""What two photos share: features found by OpenCV, and those matches that an epipolar geometry of these two alone explains."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from nerf_plugins.checkup.pixels import Picture

SIZE = 800
"""Longer side of the picture that features are looked for in."""
_FEATURES = 2000
_RATIO = 0.8
"""Lowe's: the nearest descriptor is so much nearer than the second."""
VERIFIED = 2.0
"""Pixels of the picture from an epipolar line."""
_EDGE = 9
"""Pixels from the edge of what is used: an outline moves with the eye, and half of what is described there is not used."""
_FEWEST = 15
"""Matches below which there is no geometry to speak of: seven always have one."""


@dataclass(frozen=True)
class Features:
    """Of a photo.

    Attributes:
        points: x, y in pixels of the whole photo, the first pixel's centre at 0.5.
        descriptors: of length 1 (RootSIFT, Arandjelović and Zisserman 2012).
        scale: pixels of the picture that was looked at, of one of the photo.
    """

    points: Float[np.ndarray, "n 2"]
    descriptors: Float[np.ndarray, "n 128"]
    scale: float


def find_features(picture: Picture) -> Features:
    """Looks at a small copy of a photo; what its mask leaves out or its alpha hides has none, nor have the edges of that."""
    rgb, used = picture
    scale = min(1.0, SIZE / max(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    grey = cv2.cvtColor(np.ascontiguousarray(small[..., :3]), cv2.COLOR_RGB2GRAY)
    keypoints, described = cv2.SIFT_create(_FEATURES).detectAndCompute(grey, _wanted(small, used))  # type: ignore[attr-defined]
    points = np.array([keypoint.pt for keypoint in keypoints], np.float64).reshape(-1, 2)
    roots = np.sqrt(described if len(points) else np.zeros((0, 128), np.float32))
    roots /= np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-6)
    shape = np.array(rgb.shape[1::-1]) / small.shape[1::-1]
    return Features((points + 0.5) * shape, roots, scale)


def _wanted(
    small: UInt8[np.ndarray, "h w c"], used: Bool[np.ndarray, "height width"] | None
) -> UInt8[np.ndarray, "h w"] | None:
    """Where features are looked for, as OpenCV takes it; None: everywhere."""
    if used is None and small.shape[2] == 3:
        return None
    wanted = np.ones(small.shape[:2], bool) if small.shape[2] == 3 else small[..., 3] > 127
    if used is not None:
        wanted = wanted & (cv2.resize(used.astype(np.uint8), small.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0)
    return cv2.erode(255 * wanted.astype(np.uint8), np.ones((2 * _EDGE + 1,) * 2, np.uint8))  # type: ignore[return-value]


def similar(first: Float[np.ndarray, "n 128"], second: Float[np.ndarray, "m 128"]) -> Int[np.ndarray, "k 2"]:
    """Pairs of descriptors, each the other's nearest and much nearer than the next: not yet verified."""
    if min(len(first), len(second)) < 2:
        return np.zeros((0, 2), np.int64)
    cosines = first @ second.T
    nearest, back = cosines.argmax(axis=1), cosines.argmax(axis=0)
    two = np.partition(cosines, -2, axis=1)[:, -2:]
    far, near = np.sqrt(np.maximum(2 - 2 * two, 0)).T
    rows = np.flatnonzero((back[nearest] == np.arange(len(first))) & (near < _RATIO * far))
    return np.stack([rows, nearest[rows]], axis=1)


def verified(first: Float[np.ndarray, "n 2"], second: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n"]:
    """Which matches one fundamental matrix explains, whatever the cameras are said to be; none where too few do.

    Args:
        first: points of the first photo in pixels of the picture looked at, without distortion.
        second: theirs in the second.
    """
    nothing = np.zeros(len(first), bool)
    if len(first) < _FEWEST:
        return nothing
    try:
        _, inliers = cv2.findFundamentalMat(first, second, cv2.USAC_MAGSAC, VERIFIED, 0.999, 5000)
    except cv2.error:  # what it ends with where no sample gives a matrix
        return nothing
    found = nothing if inliers is None else inliers.ravel() > 0
    return found if found.sum() >= _FEWEST else nothing
