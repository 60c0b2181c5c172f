"""Which photos are compared with which. Comparing all with all grows with the square of their number."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, UInt8

Pair = tuple[int, int]

WORDS = 64
_SAMPLE = 20_000
_PER_IMAGE = 512
_ROUNDS = 8


def all_pairs(n: int) -> list[Pair]:
    """Each with each."""
    return [(i, j) for i in range(n) for j in range(i + 1, n)]


def following(n: int, overlap: int) -> list[Pair]:
    """Each with the `overlap` next ones, and with those 2^k further on for as many k: a slow camera needs the far ones."""
    steps = sorted({*range(1, overlap + 1), *(2**k for k in range(overlap))})
    return [(i, i + step) for i in range(n) for step in steps if i + step < n]


def most_similar(codes: Float[np.ndarray, "n d"], count: int) -> list[Pair]:
    """Each with the `count` whose codes have the largest inner product with its own."""
    similarity = codes @ codes.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, : min(count, len(codes) - 1)]
    return [(i, int(j)) for i, row in enumerate(order) for j in row]


def merged(*lists: Iterable[Pair]) -> list[Pair]:
    """All pairs of the lists once, the smaller index first, in order."""
    return sorted({(min(pair), max(pair)) for pairs in lists for pair in pairs})


def image_codes(descriptors: Iterable[UInt8[np.ndarray, "_ 128"]], seed: int = 0) -> Float[np.ndarray, "n d"]:
    """A unit vector for each image, such that images of the same things have a large inner product.

    VLAD (Jégou et al. 2010) over words found in these very images, so no vocabulary has to be downloaded: the residuals of an image's
    descriptors from their nearest of 64 words are summed for each word, each sum is scaled to length 1 (Arandjelović and Zisserman
    2013), and so is the whole. An image without descriptors has the code 0.

    Args:
        descriptors: of each image, the features of largest scale first or in any order; 512 of each are looked at, evenly spread.
        seed: of the choice of descriptors that the words are learnt from.
    """
    chosen = [_normalised(_spread(d, _PER_IMAGE)) for d in descriptors]
    words = _words(np.concatenate(chosen), np.random.default_rng(seed))
    return np.stack([_vlad(d, words) for d in chosen])


def _spread(rows: UInt8[np.ndarray, "_ 128"], count: int) -> UInt8[np.ndarray, "_ 128"]:
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]


def _normalised(descriptors: UInt8[np.ndarray, "m 128"]) -> Float[np.ndarray, "m 128"]:
    values = descriptors.astype(np.float32)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def _words(descriptors: Float[np.ndarray, "m 128"], rng: np.random.Generator) -> Float[np.ndarray, "w 128"]:
    """k-means of a sample."""
    sample = descriptors[rng.permutation(len(descriptors))[:_SAMPLE]]
    words = sample[: min(WORDS, len(sample))].copy()
    for _ in range(_ROUNDS):
        nearest = _nearest(sample, words)
        for w in range(len(words)):
            if (members := sample[nearest == w]).size:
                words[w] = members.mean(axis=0)
    return words


def _nearest(descriptors: Float[np.ndarray, "m 128"], words: Float[np.ndarray, "w 128"]) -> np.ndarray:
    return np.argmax(descriptors @ words.T - 0.5 * (words**2).sum(axis=1), axis=1)


def _vlad(descriptors: Float[np.ndarray, "m 128"], words: Float[np.ndarray, "w 128"]) -> Float[np.ndarray, "d"]:
    sums = np.zeros_like(words)
    if len(descriptors):
        nearest = _nearest(descriptors, words)
        np.add.at(sums, nearest, descriptors - words[nearest])
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
    code = sums.reshape(-1)
    return code / max(float(np.linalg.norm(code)), 1e-6)
