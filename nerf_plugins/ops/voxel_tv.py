"""How much a grid's numbers vary from vertex to vertex."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor
from nerf_plugins.ops.voxels import gradient_room

# Rows an item of a launch works on on the CPU.
_RUN = 64


class _Variation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, links: Tensor, vertices: Tensor, start: int, end: int) -> Tensor:  # type: ignore[override]
        from nerf_plugins.kernels.launch import launch
        from nerf_plugins.kernels.voxel_tv import variation_kernel

        n, width = end - start, rows.shape[1]
        values, grad = rows.new_empty(n, width), rows.new_empty(n, width)
        nz, ny, nx = links.shape
        arguments = [
            rows.view(-1),
            links.view(-1),
            vertices,
            nx,
            ny,
            nz,
            start,
            n,
            _RUN,
            values.view(-1),
            grad.view(-1),
        ]
        n_items = n * width if rows.is_cuda else -(-n // _RUN)
        pieces = None if rows.is_cuda else min(n_items, 4 * torch.get_num_threads())
        launch(variation_kernel(width), n_items, arguments, rows.device, pieces)
        ctx.save_for_backward(grad)
        ctx.rows, ctx.room = (rows.shape, start, end), gradient_room(rows)
        return values.mean() if n else rows.new_zeros(())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_mean: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (grad,) = ctx.saved_tensors
        shape, start, end = ctx.rows
        room, ctx.room = ctx.room, None
        grad_rows = grad.new_zeros(shape) if room is None else room.zero_()
        torch.mul(grad, grad_mean / max(grad.numel(), 1), out=grad_rows[start:end])
        return grad_rows, None, None, None, None


def voxel_tv(
    rows: Float[Tensor, "n_rows width"],
    links: Int[Tensor, "nz ny nx"],
    vertices: Int[Tensor, "n_rows"],
    start: int,
    end: int,
) -> Float[Tensor, ""]:
    r"""Total variation, estimated from some rows: the mean of :math:`\sqrt{\Delta_x^2 + \Delta_y^2 + \Delta_z^2 + 10^{-9}}` over the
    numbers of rows ``start`` to ``end - 1``, with :math:`\Delta` the differences to the next vertex along each axis, 0 where that has no
    row.

    The gradient is that of the variation of the *whole* grid, of these rows only, over their number: averaged over blocks of equal size
    that together are all rows, value and gradient are those of the grid's mean variation.

    Args:
        rows: numbers of the vertices that have some, float32.
        links: which row is a vertex's, int32; -1 for none.
        vertices: which vertex, counted along x, then y, then z, is a row's, int32.
        start: first of the rows.
        end: the one after the last.

    Returns:
        The mean. Differentiable once in ``rows``.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape, device or range.

    Example:
        Two vertices along x, with 3 and 7; the second has no next one. By the first one the mean is half the difference.

        >>> links = torch.tensor([[[0, 1], [-1, -1]], [[-1, -1], [-1, -1]]], dtype=torch.int32)
        >>> rows = torch.tensor([[3.0], [7.0]], requires_grad=True)
        >>> variation = voxel_tv(rows, links, torch.tensor([0, 1], dtype=torch.int32), 0, 2)
        >>> variation.backward()
        >>> round(variation.item(), 3), rows.grad.flatten().tolist()
        (2.0, [-0.5, 0.5])

    Source: Fridovich-Keil & Yu et al., Plenoxels, 2022, equation 3, on a random share of the voxels (section 3.4).
    """
    rows = require_tensor("rows", rows, torch.float32, (None, None))
    links = require_tensor("links", links, torch.int32, (None, None, None))
    vertices = require_tensor("vertices", vertices, torch.int32, (len(rows),))
    require_same_device(rows=rows, links=links, vertices=vertices)
    if not 0 <= start <= end <= len(rows):
        raise ValueError(f"0 <= start <= end <= {len(rows)} rows must hold, got {start} and {end}")
    return _Variation.apply(rows, links, vertices, start, end)
