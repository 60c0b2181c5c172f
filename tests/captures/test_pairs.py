"""Which photos are compared."""

import numpy as np

from nerf_plugins.captures.pairs import all_pairs, following, image_codes, merged, most_similar


def test_all_pairs():
    assert all_pairs(4) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def test_following_reaches_far_in_few_steps():
    pairs = following(40, 5)
    assert sorted(j - i for i, j in pairs if i == 0) == [1, 2, 3, 4, 5, 8, 16]
    assert max(j for _, j in pairs) == 39


def test_merged_is_each_pair_once():
    assert merged([(1, 0), (2, 3)], [(0, 1), (3, 1)]) == [(0, 1), (1, 3), (2, 3)]


def test_images_of_the_same_things_are_the_most_similar():
    """Twelve places of 60 features each; image k shows the places k to k + 3 around a ring, with noise."""
    rng = np.random.default_rng(0)
    places = rng.gamma(0.6, 20, (12, 60, 128))
    images = [np.concatenate([places[(k + i) % 12] for i in range(4)]) for k in range(12)]
    images = [(d + rng.normal(0, 3, d.shape)).clip(0, 255).astype(np.uint8) for d in images]
    codes = image_codes(images)
    assert np.allclose(np.linalg.norm(codes, axis=1), 1.0, atol=1e-5)
    assert merged(most_similar(codes, 2)) == merged([(k, (k + 1) % 12) for k in range(12)])


def test_an_image_without_features_is_like_none():
    rng = np.random.default_rng(0)
    codes = image_codes([rng.integers(0, 255, (30, 128), dtype=np.uint8), np.zeros((0, 128), np.uint8)])
    assert np.array_equal(codes[1], np.zeros_like(codes[1]))
