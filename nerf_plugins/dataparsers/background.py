"""``points.npy``: points of a moving scene that do not move, as those that a reconstruction from photos finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from nerf_plugins.errors import InputError


def read_background(path: Path) -> Float[np.ndarray, "n 3"] | None:
    """The points, in the world; None where there is no such file.

    Raises:
        InputError: it is no array (n, 3) of finite numbers.
    """
    if not path.is_file():
        return None
    try:
        points = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise InputError(f"{path}: is no readable array ({e}); write it again or remove it") from e
    if not isinstance(points, np.ndarray) or points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "fiu":
        raise InputError(f"{path}: must be an array (n, 3) of numbers; write it again or remove it")
    wrong = ~np.isfinite(points).all(axis=1)
    if wrong.any():
        raise InputError(f"{path}: point {int(wrong.argmax())} is {points[wrong.argmax()].tolist()}: remove it")
    return points.astype(np.float64)
