"""Points followed through a warp: where at another time lies what is at the same place of the canonical scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

Warp = Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n 3"]]
"""Positions of one time -> their places in the canonical scene, differentiable; both in the same unit."""

_ITERATIONS = 12
_DAMPING = 1e-3
"""Of Levenberg and Marquardt, at first; the Jacobian of a warp is about 1."""


class Found(NamedTuple):
    """Where points are at a time."""

    positions: Float[Tensor, "n 3"]
    residuals: Float[Tensor, "n"]
    """How far their places in the canonical scene are from the ones that were looked for."""


def find(warp: Warp, places: Float[Tensor, "n 3"], candidates: Float[Tensor, "m 3"]) -> Found:
    r"""Positions x with :math:`W(x)` = places: from the candidate whose place is the nearest, by :func:`refine`.

    A warp takes much of empty space anywhere, and need not be one to one; so a search along time would lose what moves fast, and the
    candidates say where something is.

    Args:
        warp: of the time at which the points are looked for.
        places: in the canonical scene.
        candidates: where there is something at that time; at least one.
    """
    with torch.no_grad():
        tree = KDTree(warp(candidates).cpu().numpy())
    _, nearest = tree.query(places.cpu().numpy())
    return refine(warp, places, candidates[torch.as_tensor(nearest, device=candidates.device)])


def refine(warp: Warp, places: Float[Tensor, "n 3"], start: Float[Tensor, "n 3"]) -> Found:
    r"""Minimises :math:`|W(x) - \text{places}|` from a start for each point, by Levenberg and Marquardt's damped Newton steps

    .. math::
        x \leftarrow x - (J^T J + \lambda I)^{-1} J^T (W(x) - \text{places}),\quad J = \partial W / \partial x,

    of which those that lead further away are undone, with ten times the damping. Nothing gets worse than the start.
    """
    best = Found(start, torch.full_like(start[:, 0], torch.inf))
    x, damping = start, torch.full_like(start[:, :1, None], _DAMPING)
    gradient = residual_of = None
    for _ in range(_ITERATIONS):
        place, jacobian = _with_jacobian(warp, x)
        offsets = place - places
        residuals = offsets.norm(dim=-1)
        is_better = residuals < best.residuals
        best = Found(torch.where(is_better[:, None], x, best.positions), torch.minimum(residuals, best.residuals))
        if gradient is None or residual_of is None:
            gradient, residual_of = jacobian, offsets
        gradient = torch.where(is_better[:, None, None], jacobian, gradient)
        residual_of = torch.where(is_better[:, None], offsets, residual_of)
        damping = torch.where(is_better[:, None, None], 0.3 * damping, 10.0 * damping)
        x = best.positions - _step(gradient, residual_of, damping)
    return best


def _step(jacobian: Tensor, offsets: Tensor, damping: Tensor) -> Tensor:
    """(n, 3): the damped Newton steps."""
    transposed = jacobian.transpose(-1, -2)
    normal = transposed @ jacobian + damping * torch.eye(3, device=offsets.device)
    return torch.linalg.solve(normal, (transposed @ offsets[:, :, None])).squeeze(-1)


def _with_jacobian(warp: Warp, x: Tensor) -> tuple[Tensor, Tensor]:
    """The places (n, 3), and their derivatives by the positions (n, 3, 3), row i being those of coordinate i."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        places = warp(x)
        rows = [torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in places.unbind(-1)]
    return places.detach(), torch.stack(rows, dim=1)
