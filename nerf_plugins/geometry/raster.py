"""Triangles on a grid of pixels: which pixel's centre lies in which triangle, and where in it (numpy only)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

PIXELS_AT_ONCE = 1 << 20
"""Pixels of the triangles' bounding boxes that are looked at together: some 100 MB."""
_ON_THE_EDGE = -1e-9
"""A centre on a side of a triangle is in it."""


class Fragments(NamedTuple):
    """Centres of pixels that lie in triangles.

    Attributes:
        face: index of the triangle.
        row: of the pixel.
        column: of the pixel.
        weights: barycentric coordinates of the centre; their sum is 1.
    """

    face: Int[np.ndarray, "n"]
    row: Int[np.ndarray, "n"]
    column: Int[np.ndarray, "n"]
    weights: Float[np.ndarray, "n 3"]


def rasterize(corners: Float[np.ndarray, "f 3 2"], height: int, width: int) -> Iterator[Fragments]:
    """What triangles cover of an image, some triangles at a time; a pixel comes once for each triangle that its centre lies in.

    Args:
        corners: in pixels, (x to the right, y down); the centre of the pixel in row i and column j is at (j + 1/2, i + 1/2).
        height: of the image.
        width: of the image.
    """
    a, b, c = corners.swapaxes(0, 1)
    # Of two arrays at a time: numpy's reductions over an axis of three take five times as long.
    low = np.maximum(np.ceil(np.minimum(np.minimum(a, b), c) - 0.5), 0.0).astype(np.int64)
    high = np.minimum(np.floor(np.maximum(np.maximum(a, b), c) - 0.5), [width - 1, height - 1]).astype(np.int64)
    spans = np.maximum(high - low + 1, 0)
    counts = spans.prod(axis=1)
    batch = (np.cumsum(counts) - counts) // PIXELS_AT_ONCE
    for faces in np.split(np.arange(len(corners)), np.flatnonzero(np.diff(batch)) + 1):
        yield _covered(corners, faces, low, spans, counts)


def _covered(
    corners: np.ndarray, faces: np.ndarray, low: np.ndarray, spans: np.ndarray, counts: np.ndarray
) -> Fragments:
    """Those pixels of some triangles' bounding boxes whose centres are in the triangles."""
    count = counts[faces]
    face = np.repeat(faces, count)
    place = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    column = low[face, 0] + place % np.maximum(spans[face, 0], 1)
    row = low[face, 1] + place // np.maximum(spans[face, 0], 1)
    a, b, c = corners[face].swapaxes(0, 1)
    p = np.stack([column, row], axis=1) + 0.5
    with np.errstate(divide="ignore", invalid="ignore"):  # a triangle without area has nothing inside: NaN
        double_area = _cross(b - a, c - a)
        of_b, of_c = _cross(p - a, c - a) / double_area, _cross(b - a, p - a) / double_area
        weights = np.stack([1.0 - of_b - of_c, of_b, of_c], axis=1)
    inside = (weights >= _ON_THE_EDGE).all(axis=1)
    return Fragments(face[inside], row[inside], column[inside], weights[inside])


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
