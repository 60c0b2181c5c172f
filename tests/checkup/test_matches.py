"""What two photos share, of pictures of a made scene."""

import numpy as np

from nerf_plugins.checkup import matches
from nerf_plugins.checkup.matches import find_features, similar, verified
from tests.captures.made_scene import arc, picture


def shown(count: int = 2, degrees: float = 8.0) -> list[np.ndarray]:
    return [picture(pose) for pose in arc(count, degrees)]


def test_neighbours_share_many_verified_matches_and_noise_none():
    first, second = (find_features((rgb, None)) for rgb in shown())
    rows = similar(first.descriptors, second.descriptors)
    kept = verified(first.points[rows[:, 0]], second.points[rows[:, 1]])
    assert kept.sum() > 100
    assert kept.mean() > 0.8
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    other = find_features((noise, None))
    rows = similar(first.descriptors, other.descriptors)
    assert verified(first.points[rows[:, 0]], other.points[rows[:, 1]]).sum() < 15


def test_points_are_in_pixels_of_the_whole_photo(monkeypatch):
    rgb = shown()[0]
    whole = find_features((rgb, None))
    large = np.kron(rgb, np.ones((4, 4, 1), np.uint8))
    monkeypatch.setattr(matches, "SIZE", 320)
    found = find_features((large, None))
    assert found.scale == 0.25
    distances = np.linalg.norm(found.points[:, None] / 4 - whole.points, axis=2).min(axis=1)
    assert np.median(distances) < 0.01


def test_what_is_masked_or_transparent_and_its_edge_has_no_features():
    rgb = shown()[0]
    right = np.zeros(rgb.shape[:2], bool)
    right[:, 160:] = True
    for seen in (find_features((rgb, right)), find_features((np.dstack([rgb, 255 * right.astype(np.uint8)]), None))):
        assert len(seen.points) > 50
        assert seen.points[:, 0].min() > 168


def test_smooth_pictures_share_nothing():
    empty = find_features((np.full((60, 80, 3), 128, np.uint8), None))
    assert len(empty.points) == 0
    assert len(similar(empty.descriptors, find_features((shown()[0], None)).descriptors)) == 0
    assert not verified(np.zeros((3, 2)), np.zeros((3, 2))).any()
    assert not verified(np.zeros((50, 2)), np.zeros((50, 2))).all()
