"""Where cameras' axes meet. Whether that is what the cameras look at, each caller judges by how wide the axes spread and how many cameras
have the point in front of them; how sure it has to be depends on what it does otherwise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Meeting(NamedTuple):
    """The point nearest to axes.

    Attributes:
        point: the one of these nearest to the origin, where there are several.
        spread: how different the axes' directions are, from 0 (all parallel) to 2/3 (evenly all ways).
    """

    point: Float[np.ndarray, "3"]
    spread: float


def meeting(positions: Float[np.ndarray, "n 3"], views: Float[np.ndarray, "n 3"]) -> Meeting:
    """The point nearest to the cameras' axes in the least-squares sense: ``argmin_x sum_i |(I - v_i v_iᵀ)(x - c_i)|²``.

    Args:
        positions: of the cameras, ``c``.
        views: the unit vectors ``v`` that they look along.
    """
    across = np.eye(3) - views[:, :, None] * views[:, None, :]
    total, moments = across.sum(axis=0), (across @ positions[:, :, None]).sum(axis=0)[:, 0]
    spread = float(np.linalg.eigvalsh(total)[0]) / len(views)
    return Meeting(np.linalg.lstsq(total, moments, rcond=None)[0], spread)


def share_in_front(
    point: Float[np.ndarray, "3"], positions: Float[np.ndarray, "n 3"], views: Float[np.ndarray, "n 3"]
) -> float:
    """The share of the cameras that have a point before them; arguments as for :func:`meeting`."""
    return float((((point - positions) * views).sum(axis=1) > 0.0).mean())
