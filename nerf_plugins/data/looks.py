"""Looks by the photos' names: how users, camera paths and meshes say whose light, exposure and style they want."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.data.names import find_images
from nerf_plugins.errors import InputError

MEAN = "mean"
"""The look that is the mean of all photos'."""


def look_name(look: str, names: Sequence[str], what: str) -> str:
    """The whole name of the photo that a look is called after; ``MEAN`` stays.

    Args:
        look: the end of a training photo's path, with or without the file's ending, or ``MEAN``.
        names: of the training photos.
        what: is asked, for messages.

    Raises:
        InputError: there is no such photo, or there are several.
    """
    if look == MEAN:
        return MEAN
    return names[find_images([look], [Path(name) for name in names], what, "training photo")[0]]


def photo_weights(shares: Any, names: Sequence[str], what: str) -> Float[Tensor, "n_images"]:
    """Each training photo's share in a blend of looks; they add up to 1.

    Args:
        shares: a mapping of looks' names to numbers that are not negative; checked, since users write them in files.
        names: of the training photos.
        what: is asked, for messages.

    Raises:
        InputError: a look is unknown, or the shares are no shares.
    """
    if not isinstance(shares, Mapping):
        raise InputError(f'{what}: {shares}: write shares by name, {{"images/train_001.png": 0.25, ...}}')
    values = list(shares.values())
    sound = all(isinstance(v, (int, float)) and v >= 0 for v in values)
    if not sound or not 0 < sum(values) < math.inf:  # finite shares may add up to an infinite number
        raise InputError(f"{what}: {dict(shares)}: give each photo a share, 0 or more, and one of them more than 0")
    weights = torch.zeros(len(names))
    for look, share in shares.items():
        name = look_name(look, names, what)
        weights += share * (torch.full_like(weights, 1 / len(names)) if name == MEAN else _one_hot(names, name))
    return weights / sum(values)


def _one_hot(names: Sequence[str], name: str) -> Tensor:
    return torch.eye(len(names))[list(names).index(name)]
