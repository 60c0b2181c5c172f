"""Rays of pixels of pinhole cameras."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor


class PixelRays(NamedTuple):
    """Rays from the camera through the middles of pixels."""

    origins: Float[Tensor, "n 3"]
    directions: Float[Tensor, "n 3"]
    """Unit directions."""
    norms: Float[Tensor, "n"]
    """Length of the direction before it was divided by it: of the ray to where it meets the plane at distance 1."""
    areas: Float[Tensor, "n"]
    """Distance to the unit direction one pixel to the right, times that to the one below."""


@torch.no_grad()
def pinhole_rays(pixels: Int[Tensor, "n 3"], table: Float[Tensor, "n_cameras 4 3"]) -> PixelRays:
    """The rays :math:`x a + y b + c` of pixels, normalised.

    Args:
        pixels: (camera, row i, column j), int64; the middle is at :math:`(x, y) = (j + 0.5, i + 0.5)`. Not checked against the table.
        table: a, b, c and the centre of projection of each camera, float32.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Nothing is differentiable.

    Example:
        A camera at the origin that looks along -z, with its middle at that of the first pixel; the second pixel is one to the right.

        >>> a, b, c, centre = [1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [-0.5, 0.5, -1.0], [0.0, 0.0, 0.0]
        >>> pinhole_rays(torch.tensor([[0, 0, 0], [0, 0, 1]]), torch.tensor([[a, b, c, centre]])).directions
        tensor([[ 0.0000,  0.0000, -1.0000],
                [ 0.7071,  0.0000, -0.7071]])
    """
    pixels = require_tensor("pixels", pixels, torch.int64, (None, 3))
    table = require_tensor("table", table, torch.float32, (None, 4, 3))
    device = require_same_device(pixels=pixels, table=table)

    from nerf_plugins.kernels.launch import launch
    from nerf_plugins.kernels.rays import pinhole_rays as kernel

    n = len(pixels)
    origins, directions = table.new_empty(2, n, 3).unbind(0)
    norms, areas = table.new_empty(2, n).unbind(0)
    launch(kernel, n, [pixels.view(-1), table.view(-1, 3), origins, directions, norms, areas], device)
    return PixelRays(origins, directions, norms, areas)
