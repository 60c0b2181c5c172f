"""Products of look-ups in planes and lines: what factorised tensors are made of."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, prod
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_same_device, require_tensor

# Samples of an item of a launch: on the CPU its overhead is shared by a run, on CUDA each sample has threads of its own.
_RUN = {"cpu": 64, "cuda": 1}
# Features of a thread that adds to a table on the CPU: no two threads add to the same feature, so this is how finely they share the work.
# On CUDA each feature has a thread of its own, and neighbours load and add to neighbouring numbers.
_CHUNK_OF_SUMS = 8
# A CPU's thread is worth its start from this many look-ups of a product on.
_MIN_LOOK_UPS_A_PIECE = 1024


class PlaneGroup(NamedTuple):
    """Planes, or lines, of one shape."""

    axes: tuple[tuple[int, ...], ...]
    """Of each which coordinates it depends on: two of a plane, one of a line."""
    sizes: tuple[int, ...]
    """Vertices along each of these, the first and the last of them at -1 and 1; at least 2."""


class PlaneLayout(NamedTuple):
    """Where planes and lines lie in a table, and which are multiplied; made by :func:`plane_layout`."""

    factors: Int[Tensor, "n_products n_factors 5"]
    """Of each factor of each product: two axes, sizes along them, first vertex in the table; a line's second size is 1. int32."""
    n_axes: tuple[int, ...]
    """Of each factor of a product: 2 for a plane, 1 for a line."""
    shapes: tuple[tuple[int, ...], ...]
    """Of each group: how many planes or lines, and their sizes."""

    @property
    def n_vertices(self) -> int:
        """Length of the table."""
        return sum(map(prod, self.shapes))

    @property
    def n_coordinates(self) -> int:
        """The least number of coordinates that a point must have."""
        return 1 + int(self.factors[..., :2].max())


def plane_layout(groups: Sequence[PlaneGroup], products: Sequence[Sequence[int]]) -> PlaneLayout:
    """The layout, on the CPU: groups one after the other, and in a group plane by plane.

    Args:
        groups: planes and lines.
        products: of each product which factors it has, by their number in all groups' order. All products have as many planes and lines, in
            the same order.

    Raises:
        ValueError: a size below 2, an axis missing, products that differ in form, or none.

    Example:
        A plane of x and y with 2 by 3 vertices times a line of z with 4: the line starts behind the plane's 6.

        >>> layout = plane_layout([PlaneGroup(((0, 1),), (2, 3)), PlaneGroup(((2,),), (4,))], products=[[0, 1]])
        >>> layout.factors.tolist(), layout.n_vertices
        ([[[0, 1, 2, 3, 0], [2, 2, 4, 1, 6]]], 10)
    """
    factors, forms, offset = [], [], 0
    for group in groups:
        if len(group.sizes) not in (1, 2) or min(group.sizes) < 2:
            raise ValueError(f"a plane has two sizes and a line one, each at least 2, got {group.sizes}")
        for axes in group.axes:
            if len(axes) != len(group.sizes):
                raise ValueError(f"axes must be as many as the sizes {group.sizes}, got {axes}")
            sizes = (*group.sizes, 1)[:2]
            factors.append([axes[0], axes[-1], *sizes, offset])
            forms.append(len(axes))
            offset += prod(group.sizes)
    found = {tuple(forms[factor] for factor in product) for product in products}
    if len(found) != 1:
        raise ValueError(
            f"products must all have the same form, planes and lines in the same order, got {sorted(found)}"
        )
    rows = torch.tensor([[factors[factor] for factor in product] for product in products], dtype=torch.int32)
    return PlaneLayout(rows, found.pop(), tuple((len(group.axes), *group.sizes) for group in groups))


def split_planes(table: Float[Tensor, "n_vertices n_features"], layout: PlaneLayout) -> list[Float[Tensor, "..."]]:
    """The table's planes and lines, one tensor (how many, size, [size,] n_features) a group; they share its memory, with gradients.

    Example:
        A plane with 2 by 3 vertices, and a line with 4.

        >>> layout = plane_layout([PlaneGroup(((0, 1),), (2, 3)), PlaneGroup(((2,),), (4,))], products=[[0, 1]])
        >>> [tuple(group.shape) for group in split_planes(torch.zeros(10, 8), layout)]
        [(1, 2, 3, 8), (1, 4, 8)]
    """
    parts = table.split([prod(shape) for shape in layout.shapes])
    return [part.view(*shape, -1) for part, shape in zip(parts, layout.shapes)]


class _Call(NamedTuple):
    """What a launch needs besides its arrays."""

    layout: PlaneLayout

    def look_up(self, positions: Tensor, table: Tensor) -> Tensor:
        """(n, width): the products."""
        n = len(positions)
        features = table.new_empty(n, len(self.layout.factors) * table.shape[1])
        run = _RUN[table.device.type]
        n_pieces = None if table.is_cuda else n * len(self.layout.factors) // _MIN_LOOK_UPS_A_PIECE
        chunk = 1 if table.is_cuda else table.shape[1]
        self._of_parts("look_up", positions, table, features, features, run, chunk, n_pieces)
        return features

    def scatter(self, positions: Tensor, table: Tensor, grad: Tensor) -> Tensor:
        """The table's gradient."""
        grad_table = torch.zeros_like(table)
        # On the CPU a piece for each product and chunk of features, since its threads must not add to the same numbers.
        run = 1 if table.is_cuda else max(len(positions), 1)
        chunk = 1 if table.is_cuda else gcd(table.shape[1], _CHUNK_OF_SUMS)
        n_pieces = None if table.is_cuda else len(self.layout.factors) * table.shape[1] // chunk
        self._of_parts("scatter", positions, table, grad, grad_table, run, chunk, n_pieces)
        return grad_table

    def to_positions(self, positions: Tensor, table: Tensor, grad: Tensor) -> Tensor:
        """The positions' gradient."""
        result, n = torch.zeros_like(positions), len(positions)
        run = _RUN[table.device.type]
        arguments = [*self._arrays(positions, table, grad), n, run, len(self.layout.factors), result.view(-1)]
        n_pieces = None if table.is_cuda else n * len(self.layout.factors) // _MIN_LOOK_UPS_A_PIECE
        self._launch("to_positions", table, -(-n // run), 1, arguments, n_pieces)
        return result

    def _of_parts(
        self,
        name: str,
        positions: Tensor,
        table: Tensor,
        grad: Tensor,
        out: Tensor,
        run: int,
        chunk: int,
        n_pieces: int | None,
    ) -> None:
        n = len(positions)
        runs, products, chunks = -(-n // run), len(self.layout.factors), table.shape[1] // chunk
        # On CUDA neighbours have neighbouring features. On the CPU they have another product: two threads that add to halves of the same
        # cache lines would wait for each other.
        strides = (chunks, chunks * runs, 1) if table.is_cuda else (1, runs, runs * products)
        arguments = [*self._arrays(positions, table, grad), n, run, products, chunks, *strides, out.view(-1)]
        self._launch(name, table, runs * products * chunks, chunk, arguments, n_pieces)

    def _arrays(self, positions: Tensor, table: Tensor, grad: Tensor) -> list[Any]:
        arrays = [positions.view(-1), table.view(-1), self.layout.factors.view(-1), grad.view(-1)]
        return [*arrays, positions.shape[1], len(self.layout.factors) * table.shape[1]]

    def _launch(
        self, name: str, table: Tensor, n_items: int, chunk: int, arguments: list[Any], n_pieces: int | None
    ) -> None:
        from nerf_plugins.kernels.launch import launch
        from nerf_plugins.kernels.planes import kernels_for

        kernels = kernels_for(self.layout.n_axes, table.shape[1], chunk)
        launch(getattr(kernels, name), n_items, arguments, table.device, n_pieces)


class _Products(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, table: Tensor, call: _Call) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(positions, table)
        ctx.call = call
        return call.look_up(positions, table)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        positions, table = ctx.saved_tensors
        wants, grad = ctx.needs_input_grad, grad.contiguous()
        grad_positions = ctx.call.to_positions(positions, table, grad) if wants[0] else None
        return grad_positions, ctx.call.scatter(positions, table, grad) if wants[1] else None, None


def plane_products(
    positions: Float[Tensor, "n n_coordinates"], table: Float[Tensor, "n_vertices n_features"], layout: PlaneLayout
) -> Float[Tensor, "n width"]:
    r"""Products of look-ups in planes and lines.

    :math:`\phi_{pc}(x) = \prod_k v_{pkc}(x)` with :math:`v_{pkc}` factor k of product p: bilinear between a plane's vertices at two of the
    coordinates, linear between a line's at one. The first vertex is at -1, the last at 1.

    Args:
        positions: x in [-1, 1], float32; outside they are clamped, and have no gradient. What is no number is taken for -1.
        table: vertices of all planes and lines, float32.
        layout: where each lies, on the same device.

    Returns:
        Features, product by product, of width n_products · n_features; float32. Differentiable once in ``table`` and ``positions``.
        On CUDA the table's gradient is summed in no fixed order.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape or device.

    Example:
        A plane of x and y whose vertices are 0, 1, 2, 3, times a line of z that rises from 0 to 10.

        >>> layout = plane_layout([PlaneGroup(((0, 1),), (2, 2)), PlaneGroup(((2,),), (2,))], products=[[0, 1]])
        >>> table = torch.tensor([0.0, 1.0, 2.0, 3.0, 0.0, 10.0])[:, None]
        >>> plane_products(torch.tensor([[1.0, 0.0, 0.0]]), table, layout)
        tensor([[12.5000]])

    Source: Chen et al., TensoRF: Tensorial Radiance Fields, 2022, section 4; Fridovich-Keil et al., K-Planes, 2023, section 3.
    """
    positions = require_tensor("positions", positions, torch.float32, (None, None))
    table = require_tensor("table", table, torch.float32, (layout.n_vertices, None))
    factors = require_tensor("layout.factors", layout.factors, torch.int32, (None, len(layout.n_axes), 5))
    require_same_device(positions=positions, table=table, factors=factors)
    if table.numel() >= 1 << 31:
        raise ValueError(f"table must have less than 2^31 numbers, got {table.numel()}")
    if table.device.type == "cpu" and positions.shape[1] < layout.n_coordinates:
        raise ValueError(f"positions must have {layout.n_coordinates} coordinates, got {positions.shape[1]}")
    return _Products.apply(positions, table, _Call(layout._replace(factors=factors)))
