"""How much detail photos have around pixels, and pixels drawn where there is much of it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from nerf_plugins.drawing import draw_by_weight

CANDIDATES = 8
"""Pixels looked at for each one that is drawn: none is drawn more than about so many times as often as it would be."""
_FLOOR = 1e-3
"""Detail that every pixel has, so that photos of one colour are drawn from as well."""
_REACH = 2
"""Rows and columns from a pixel to those that it is compared with."""


def around(
    row: Int[Tensor, "n"], column: Int[Tensor, "n"], height: int, width: int
) -> tuple[Int[Tensor, "n 9"], Int[Tensor, "n 9"]]:
    """Rows and columns of the 3 x 3 pixels, two apart, around each; those beyond the image's edge are those on it.

    Args:
        row: of the pixels.
        column: of the pixels.
        height: of the image.
        width: of the image.
    """
    offsets = torch.arange(-_REACH, _REACH + 1, _REACH, device=row.device)
    down, right = torch.cartesian_prod(offsets, offsets).unbind(-1)
    return (row[:, None] + down).clamp(0, height - 1), (column[:, None] + right).clamp(0, width - 1)


def local_detail(colors: Shaped[Tensor, "n 9 channels"]) -> Float[Tensor, "n"]:
    r"""The colours' standard deviation among the pixels :func:`around` each one:
    :math:`\sqrt{\sum_c \mathrm{Var}_k(\alpha_k c_k) + \mathrm{Var}_k(\alpha_k)}`, times the middle one's :math:`\alpha`, and a little more.

    Args:
        colors: RGB or RGBA, the middle one fifth; in [0, 1], or whole numbers up to 255.

    Returns:
        Positive numbers: 0.001 for a plain wall, 0.2 for print.
    """
    values = colors.float() if colors.is_floating_point() else colors.float() / 255.0
    if values.shape[-1] < 4:
        return values.var(dim=1, correction=0).sum(-1).sqrt() + _FLOOR
    alpha = values[..., 3:]
    seen = torch.cat([values[..., :3] * alpha, alpha], dim=-1)
    return seen.var(dim=1, correction=0).sum(-1).sqrt() * alpha[:, 4, 0] + _FLOOR


def choose_detailed(detail: Float[Tensor, "m"], count: int, share: float) -> Int[Tensor, "count"]:
    """Which of random pixels are taken: a share of them as often as they have detail, the others as they come.

    Args:
        detail: of each candidate, in any order that says nothing of which are the better ones; see :func:`local_detail`.
        count: how many are taken; at most m.
        share: of these, how many go by their detail.

    Returns:
        Indices of candidates, ascending, some of them several times.
    """
    n_detailed = int(share * count)
    detailed = draw_by_weight(detail.double(), n_detailed)[0]
    plain = draw_by_weight(torch.ones_like(detail, dtype=torch.float64), count - n_detailed)[0]
    return torch.cat([detailed, plain]).sort().values
