"""Trilinear look-up in a grid of which only some vertices hold numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor

# Samples an item of a launch looks up on the CPU, where an item's overhead is shared by a run.
_RUN = 256


class _Call(NamedTuple):
    """The grid: what a launch needs besides its arrays."""

    links: Tensor

    def look_up(self, positions: Tensor, rows: Tensor) -> Tensor:
        n, width = len(positions), rows.shape[1]
        values = rows.new_empty(n, width)
        n_items = n * width if positions.is_cuda else -(-n // _RUN)
        pieces = None if positions.is_cuda else min(n_items, 4 * torch.get_num_threads())
        arguments = [positions, rows.view(-1), *self._grid(), n, _RUN, values.view(-1)]
        self._launch("look_up", width, n_items, arguments, pieces)
        return values

    def scatter(self, positions: Tensor, grad: Tensor, grad_rows: Tensor) -> Tensor:
        """The rows' gradient, added to ``grad_rows``."""
        n, width = grad.shape
        # On the CPU an item owns some layers of the grid, and so a piece of the launch is one item.
        n_items = n * width if positions.is_cuda else torch.get_num_threads()
        arguments = [positions, grad.view(-1), *self._grid(), n, n_items, grad_rows.view(-1)]
        if n:
            self._launch("scatter", width, n_items, arguments, n_items)
        return grad_rows

    def position_gradient(self, positions: Tensor, rows: Tensor, grad: Tensor) -> Tensor:
        result = torch.empty_like(positions)
        arguments = [positions, rows.view(-1), *self._grid(), grad.view(-1), result]
        self._launch("position_gradient", rows.shape[1], len(positions), arguments, None)
        return result

    def _grid(self) -> list[Any]:
        nz, ny, nx = self.links.shape
        return [self.links.view(-1), nx, ny, nz]

    def _launch(self, name: str, width: int, n_items: int, arguments: list[Any], n_pieces: int | None) -> None:
        from nerf_plugins.kernels.launch import launch
        from nerf_plugins.kernels.voxels import kernels_for

        launch(getattr(kernels_for(width), name), n_items, arguments, self.links.device, n_pieces)


def gradient_room(rows: Tensor) -> Tensor | None:
    """Memory for the gradient of large rows on the CPU, to be taken in the forward pass.

    glibc gives blocks of tens of megabytes of any thread but the first back to the system at once, and backward passes run in another one:
    there, clearing such memory took several times as long as all else.
    """
    return torch.empty_like(rows) if rows.requires_grad and not rows.is_cuda else None


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, rows: Tensor, call: _Call) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(positions, rows)
        ctx.call, ctx.room = call, gradient_room(rows)
        return call.look_up(positions, rows)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        positions, rows = ctx.saved_tensors
        grad = grad.contiguous()
        to_positions = ctx.call.position_gradient(positions, rows, grad) if ctx.needs_input_grad[0] else None
        to_rows = None
        if ctx.needs_input_grad[1]:
            room, ctx.room = ctx.room, None  # autograd copies what somebody else still holds
            to_rows = ctx.call.scatter(positions, grad, torch.zeros_like(rows) if room is None else room.zero_())
        return to_positions, to_rows, None


def voxel_look_up(
    positions: Float[Tensor, "n 3"], rows: Float[Tensor, "n_rows width"], links: Int[Tensor, "nz ny nx"]
) -> Float[Tensor, "n width"]:
    r"""Numbers at positions, interpolated between the eight vertices around each.

    :math:`\sum_c w_c \theta_{l(c)}` with the trilinear weights of the cell's corners c and the row :math:`l(c)` of each; a vertex
    without a row has zeros. The first vertex of an axis is at -1, its last at 1.

    Args:
        positions: (x, y, z) in [-1, 1]^3, float32; outside they are clamped, and have no gradient. What is no number is taken for -1.
        rows: numbers of the vertices that have some, float32.
        links: which row is a vertex's, int32, at least 2 vertices along each axis; -1 for none. Not checked: a row that is not there is
            read from somewhere in memory.

    Returns:
        Numbers. Differentiable once in ``rows`` and ``positions``. On CUDA the rows' gradient is summed in no fixed order.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Example:
        Of the cube's eight vertices only that at (1, 1, 1) has a number: 8. In the middle an eighth of it is left.

        >>> links = torch.full((2, 2, 2), -1, dtype=torch.int32)
        >>> links[1, 1, 1] = 0
        >>> voxel_look_up(torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 0.5]]), torch.tensor([[8.0]]), links)
        tensor([[1.],
                [6.]])

    Source: Fridovich-Keil & Yu et al., Plenoxels, 2022, section 3.1 (a dense array of links into rows).
    """
    positions = require_tensor("positions", positions, torch.float32, (None, 3))
    rows = require_tensor("rows", rows, torch.float32, (None, None))
    links = require_tensor("links", links, torch.int32, (None, None, None))
    if min(links.shape) < 2:
        raise ValueError(f"links must have at least 2 vertices along each axis, got {tuple(links.shape)}")
    if rows.shape[1] < 1:
        raise ValueError(f"rows must have numbers, got {tuple(rows.shape)}")
    require_same_device(positions=positions, rows=rows, links=links)
    return _LookUp.apply(positions, rows, _Call(links))
