"""How far found camera poses are from known ones."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def aligned_error(found: Float[np.ndarray, "n 3 4"], true: Float[np.ndarray, "n 3 4"]) -> float:
    """The largest distance of camera centres after the best similarity, over the true centres' greatest distance from their mean.

    Source: Umeyama, Least-squares estimation of transformation parameters between two point patterns, 1991.
    """
    x, y = found[:, :, 3], true[:, :, 3]
    mx, my = x.mean(0), y.mean(0)
    u, s, vt = np.linalg.svd((y - my).T @ (x - mx) / len(x))
    signs = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    scale = (s * signs).sum() / ((x - mx) ** 2).sum(1).mean()
    moved = scale * (x - mx) @ ((u * signs) @ vt).T + my
    return float(np.linalg.norm(moved - y, axis=1).max() / np.linalg.norm(y - my, axis=1).max())
