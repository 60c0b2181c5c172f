"""Rays of pixels of perspective cameras, with or without a lens that bends."""

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

    rays = _empty_rays(len(pixels), table)
    launch(kernel, len(pixels), [pixels.view(-1), table.view(-1, 3), *rays], device)
    return rays


@torch.no_grad()
def lens_rays(
    pixels: Int[Tensor, "n 3"], table: Float[Tensor, "n_cameras 4 3"], lenses: Float[Tensor, "n_cameras 10"]
) -> PixelRays:
    r"""As :func:`pinhole_rays`, of cameras whose lens bends: a pixel's ray is that of the place (u, v) that OpenCV's lens shows there.

    With :math:`r^2 = u^2 + v^2` and :math:`d = 1 + k_1 r^2 + k_2 r^4 + k_3 r^6 + k_4 r^8`, in units of the focal length from the centre,
    the lens shows (u, v) at :math:`(u d + 2 p_1 u v + p_2 (r^2 + 2 u^2),\ v d + 2 p_2 u v + p_1 (r^2 + 2 v^2))`. The place is found by at
    most ten of Newton's steps from the pixel; where the lens folds the picture, they stop.

    Args:
        pixels: as :func:`pinhole_rays`.
        table: as :func:`pinhole_rays`, of the camera without its lens.
        lenses: fx, fy, cx, cy, k1, k2, k3, k4, p1, p2 of each camera, float32.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Nothing is differentiable. Source: Brown, Decentering distortion of lenses, 1966.

    Example:
        A lens that shows what is at 0.5 right of the middle at 0.5 + 0.8 * 0.5**3 = 0.6.

        >>> a, b, c, centre = [1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.1, 0.5, -1.0], [0.0, 0.0, 0.0]
        >>> lens = torch.tensor([[1.0, 1.0, -0.1, 0.5, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0]])
        >>> rays = lens_rays(torch.tensor([[0, 0, 0]]), torch.tensor([[a, b, c, centre]]), lens)
        >>> rays.directions * rays.norms[:, None]
        tensor([[ 0.5000,  0.0000, -1.0000]])
    """
    pixels = require_tensor("pixels", pixels, torch.int64, (None, 3))
    table = require_tensor("table", table, torch.float32, (None, 4, 3))
    lenses = require_tensor("lenses", lenses, torch.float32, (len(table), 10))
    device = require_same_device(pixels=pixels, table=table, lenses=lenses)

    from nerf_plugins.kernels.launch import launch
    from nerf_plugins.kernels.rays import lens_rays as kernel

    rays = _empty_rays(len(pixels), table)
    launch(kernel, len(pixels), [pixels.view(-1), table.view(-1, 3), lenses, *rays], device)
    return rays


def _empty_rays(n: int, like: Tensor) -> PixelRays:
    origins, directions = like.new_empty(2, n, 3).unbind(0)
    norms, areas = like.new_empty(2, n).unbind(0)
    return PixelRays(origins, directions, norms, areas)
