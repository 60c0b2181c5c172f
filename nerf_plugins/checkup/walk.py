"""The photos as a walk, by their names, and which few pairs of them tell most of whether the poses fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from nerf_plugins.captures.pairs import Pair, merged
from nerf_plugins.checkup.scene import neighbours_by_pose
from nerf_plugins.images.pairing import natural_key

_SPREAD = 8
"""Photos, evenly chosen, that are compared with the next one and with a neighbour."""
_STEPS = 4
"""Odd steps whose ends are compared."""
_AROUND = 2
"""Photos farther off on both sides of an odd step that are compared too: in a video's small steps no line is missed by much."""
_ALIKE = 20.0
"""Degrees: a long step is half as odd where the view turns by so much."""
_NEIGHBOUR = 2
"""Of a photo's neighbours the third: the first may be a twin of it."""


@dataclass(frozen=True)
class Walk:
    """The photos in the order of their names, and the steps between their cameras.

    Attributes:
        order: indices of the photos.
        lengths: of the step from each to the next, in usual ones.
        turns: of the view, in degrees.
    """

    order: list[int]
    lengths: Float[np.ndarray, "m"]
    turns: Float[np.ndarray, "m"]

    def gap(self, pair: Pair) -> int:
        """Steps between two photos."""
        return abs(self.order.index(pair[0]) - self.order.index(pair[1]))

    def jump(self, pair: Pair) -> float:
        """The longest step between two photos that nearly follow each other, in usual ones; 0 for others."""
        if self.gap(pair) > 2 * _AROUND + 1:
            return 0.0
        start, end = sorted(self.order.index(i) for i in pair)
        return float(self.lengths[start:end].max())


def walk_of(poses: Float[torch.Tensor, "n 3 4"], paths: Sequence[Path]) -> Walk:
    """The photos' walk, folder by folder."""
    order = sorted(range(len(paths)), key=lambda i: (str(paths[i].parent), natural_key(paths[i].name), paths[i].name))
    positions, views = poses[order, :, 3].numpy(), poses[order, :, 2].numpy()
    lengths = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    turns = np.degrees(np.arccos(np.clip((views[1:] * views[:-1]).sum(axis=1), -1, 1)))
    usual = float(np.median(lengths[lengths > 0])) if (lengths > 0).any() else 1.0
    return Walk(order, lengths / usual, turns)


def choose_pairs(
    steps: Walk, poses: Float[torch.Tensor, "n 3 4"], times: Float[torch.Tensor, "n"] | None = None
) -> list[Pair]:
    """Few pairs: around the oddest steps, which are long though the view stays, and of photos spread over the whole walk, with the next
    photo (which shows much the same, wherever the pose may be) and with a neighbour by pose.

    Args:
        steps: of the photos.
        poses: theirs.
        times: theirs, if things move: then only photos of the same time are paired.
    """
    n = len(poses)
    instants = [0.0] * n if times is None else times.tolist()
    odd = np.argsort(-steps.lengths / (1 + steps.turns / _ALIKE), kind="stable")[:_STEPS].tolist()
    around = [(k - far, k + 1 + far) for k in odd for far in (0, _AROUND)]
    spread = np.unique(np.linspace(0, n - 1, min(n, _SPREAD)).round().astype(int)).tolist()
    ranks = around + [(k, k + 1) for k in spread]
    followed = [(steps.order[a], steps.order[b]) for a, b in ranks if a >= 0 and b < n]

    @cache
    def of_instant(time: float) -> dict[int, list[int]]:
        members = [i for i in range(n) if instants[i] == time]
        near = neighbours_by_pose(poses[members]) if len(members) > 1 else np.zeros((len(members), 0), int)
        return {i: [members[j] for j in row] for i, row in zip(members, near)}

    near = [(i, of_instant(instants[i])[i][: _NEIGHBOUR + 1]) for i in (steps.order[k] for k in spread)]
    return merged(
        (pair for pair in followed if instants[pair[0]] == instants[pair[1]]), ((i, js[-1]) for i, js in near if js)
    )
