"""How many of the verified matches agree with the poses: a judgement that needs no truth. Part of the reconstructing process.

A match of two photos is verified by an epipolar geometry of these two alone. Poses found right explain nearly all of them; a photo, or a
whole part of the capture, that was put to a wrong place contradicts those that it shares with the others, though its own points fit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

MAX_ERROR = 4.0
"""Pixels; up to so many from an epipolar line COLMAP verifies a match."""
AGREED = 0.95
"""Of all matches; photos with texture whose poses are right have 0.97 and more, two parts of an orbit put beside each other had 0.93, poses
all astray 0.73 to 0.85."""


@dataclass(frozen=True)
class Agreement:
    """Matches by image name, each counted for both of its images.

    Attributes:
        agreeing: those that the poses explain.
        matches: those with another image that has a pose.
        partners: how many others each image shares verified matches with, with poses or without.
        total: matches of all verified pairs, with poses or without.
    """

    agreeing: Counter[str]
    matches: Counter[str]
    partners: Counter[str]
    total: int

    def of_image(self, name: str) -> float:
        """Share of an image's matches that agree; 1 where it has none."""
        return self.agreeing[name] / self.matches[name] if self.matches[name] else 1.0

    @property
    def share_of_all(self) -> float:
        """Of all verified matches, those of images without a pose counted as not agreeing."""
        return self.agreeing.total() / (2 * self.total) if self.total else 0.0


def agreement(model: Any, database: Path) -> Agreement:
    """Looks at all verified pairs of a database.

    Args:
        model: a `pycolmap.Reconstruction`.
        database: with the matches that it was made of.
    """
    import pycolmap

    agreeing, matches, partners, total = Counter[str](), Counter[str](), Counter[str](), 0
    placed = {model.image(i).name: model.image(i) for i in model.reg_image_ids()}
    with pycolmap.Database.open(str(database)) as db:
        names = {image.image_id: image.name for image in db.read_all_images()}
        points = {i: _normalised(db, i, placed[name], model) for i, name in names.items() if name in placed}
        for pair, geometry in zip(*db.read_two_view_geometries()):
            indices = np.asarray(geometry.inlier_matches).reshape(-1, 2)
            if not len(indices):
                continue
            a, b = pycolmap.pair_id_to_image_pair(pair)
            both = (names[a], names[b])
            partners.update(both)
            total += len(indices)
            if a in points and b in points:
                first, second = (placed[name] for name in both)
                agreed = _count_agreeing(model, first, second, points[a][indices[:, 0]], points[b][indices[:, 1]])
                agreeing.update(dict.fromkeys(both, agreed))
                matches.update(dict.fromkeys(both, len(indices)))
    return Agreement(agreeing, matches, partners, total)


def _count_agreeing(
    model: Any, first: Any, second: Any, points: Float[np.ndarray, "n 2"], others: Float[np.ndarray, "n 2"]
) -> int:
    """Of the matches of two images with poses, given at depth 1."""
    relative = (second.cam_from_world() * first.cam_from_world().inverse()).matrix()
    focal = 0.5 * sum(model.camera(image.camera_id).mean_focal_length() for image in (first, second))
    return int((focal * sampson_errors(relative, points, others) < MAX_ERROR).sum())


def _normalised(db: Any, image_id: int, image: Any, model: Any) -> Float[np.ndarray, "n 2"]:
    """The image's features at depth 1, without distortion."""
    pixels = np.asarray(db.read_keypoints(image_id), dtype=float)[:, :2]
    return np.asarray(model.camera(image.camera_id).cam_from_img(pixels))


def sampson_errors(
    relative: Float[np.ndarray, "3 4"], first: Float[np.ndarray, "n 2"], second: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n"]:
    """First-order distance of matches from their epipolar lines (Hartley and Zisserman, 11.4.3), in units of the focal length.

    |y E x| / sqrt((E x)_1² + (E x)_2² + (y E)_1² + (y E)_2²) with E = [t]_x R.

    Args:
        relative: [R | t], from the first camera to the second.
        first: points of the first image at depth 1.
        second: theirs in the second.
    """
    rotation, offset = relative[:, :3], relative[:, 3]
    x, y = (np.concatenate([points, np.ones((len(points), 1))], axis=1) for points in (first, second))
    of_first, of_second = np.cross(offset, x @ rotation.T), np.cross(y, offset) @ rotation  # E x, y E
    slope = (of_first[:, :2] ** 2).sum(axis=1) + (of_second[:, :2] ** 2).sum(axis=1)
    return np.abs((y * of_first).sum(axis=1)) / np.sqrt(np.maximum(slope, 1e-30))
