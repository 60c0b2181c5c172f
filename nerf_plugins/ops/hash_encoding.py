"""Multiresolution hash encoding of positions, with gradients to second order."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nerf_plugins.ops._checks import require_count, require_same_device, require_tensor

# Samples an item of a launch works on: on the CPU an item's overhead is shared by a run, on CUDA each sample has its own thread.
_RUN = {"cpu": 256, "cuda": 1}
_FEATURES = (1, 2, 4, 8)
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


class HashLevels(NamedTuple):
    """How the levels lie in the table; made by :func:`hash_levels`."""

    scales: Float[Tensor, "n_levels"]
    """Cells along an axis: vertices are 1 / scale apart."""
    resolutions: Int[Tensor, "n_levels"]
    """Vertices along an axis of a dense level; 0 for a hashed one. int32."""
    offsets: Int[Tensor, "n_levels+1"]
    """Where each level's entries start in the table, and the table's length. int32."""


def hash_levels(n_levels: int, base_resolution: int, max_resolution: int, log2_table_size: int) -> HashLevels:
    r"""The layout of instant-ngp, on the CPU.

    Level l has :math:`N_l = N_0 b^l - 1` cells along an axis with :math:`b = (N_\text{max} / N_0)^{1/(L-1)}`, and
    :math:`\lceil N_l \rceil + 1` vertices. It is dense if these fit into :math:`2^T` entries, else hashed into as many.

    Args:
        n_levels: L >= 1.
        base_resolution: :math:`N_0` >= 2.
        max_resolution: :math:`N_\text{max}` >= ``base_resolution``.
        log2_table_size: T in [3, 24].

    Raises:
        ValueError: an argument out of range.

    Example:
        4 vertices along an axis are 4³ = 64 and have an entry each; of the finer level's 8³ = 512 several share one of 2⁸ = 256.

        >>> levels = hash_levels(n_levels=2, base_resolution=4, max_resolution=8, log2_table_size=8)
        >>> levels.scales.tolist(), levels.resolutions.tolist(), levels.offsets.tolist()
        ([3.0, 7.0], [4, 0], [0, 64, 320])

    Source: Müller et al., Instant Neural Graphics Primitives, 2022, section 3.
    """
    if n_levels < 1 or n_levels > 64:
        raise ValueError(f"n_levels must be in [1, 64], got {n_levels}")
    if not 2 <= base_resolution <= max_resolution <= 1 << 20:
        raise ValueError(
            f"2 <= base_resolution <= max_resolution <= 2^20 must hold, got {base_resolution} and {max_resolution}"
        )
    if not 3 <= log2_table_size <= 24:
        raise ValueError(f"log2_table_size must be in [3, 24], got {log2_table_size}")
    growth = (max_resolution / base_resolution) ** (1 / max(n_levels - 1, 1))
    # In float32, as the kernels (and tiny-cuda-nn) have it, so that rounding adds no vertex where a power of the growth is whole.
    scales = torch.exp2(torch.arange(n_levels) * math.log2(growth)) * base_resolution - 1.0
    resolutions, offsets = [], [0]
    for scale in scales.tolist():
        resolution = math.ceil(scale) + 1
        n_vertices = -(-(resolution**3) // 8) * 8
        is_dense = n_vertices <= 1 << log2_table_size
        resolutions.append(resolution if is_dense else 0)
        offsets.append(offsets[-1] + (n_vertices if is_dense else 1 << log2_table_size))
    return HashLevels(scales, torch.tensor(resolutions).int(), torch.tensor(offsets).int())


class _Call(NamedTuple):
    """What a launch needs besides its arrays."""

    levels: HashLevels
    n_active_levels: int
    smoothstep: bool

    def encode(self, positions: Tensor, table: Tensor, features_dtype: torch.dtype) -> Tensor:
        """(n, L F): features; 0 for levels that are not active."""
        return self._gather("encode", positions, positions, table, features_dtype)

    def encode_along(self, positions: Tensor, directions: Tensor, table: Tensor) -> Tensor:
        """(n, L F): the features' derivative along directions, in float32."""
        return self._gather("encode_along", positions, directions, table, torch.float32)

    def _gather(
        self, name: str, positions: Tensor, directions: Tensor, table: Tensor, features_dtype: torch.dtype
    ) -> Tensor:
        n, n_levels, n_features = len(positions), len(self.levels.scales), table.shape[1]
        features = torch.empty(n_levels * n_features, n, dtype=features_dtype, device=table.device)
        if self.n_active_levels < n_levels:
            features[self.n_active_levels * n_features :].zero_()
        run, n_runs = self._runs(positions)
        arguments = [positions, directions, self._vectors(table), *self._grid(n, run), features.view(-1)]
        self._launch(name, table, self.n_active_levels * n_runs, arguments, features_dtype=features_dtype)
        return features.t()

    def scatter(self, name: str, positions: Tensor, directions: Tensor, grad: Tensor, shape: torch.Size) -> Tensor:
        """The table's gradient, in float32."""
        n, grad_table = len(positions), torch.zeros(shape, device=positions.device)
        # On the CPU one piece a level, since its threads must not add to the same entries; on CUDA additions are atomic.
        on_cpu = positions.device.type == "cpu"
        run = max(n, 1) if on_cpu else 1
        arguments = [positions, directions, *self._grid(n, run), self._rows(grad), self._vectors(grad_table)]
        n_items = self.n_active_levels * -(-n // run)
        self._launch(name, grad_table, n_items, arguments, self.n_active_levels if on_cpu else None)
        return grad_table

    def to_positions(self, name: str, positions: Tensor, directions: Tensor, table: Tensor, grad: Tensor) -> Tensor:
        """(n, 3): gradient of the features' product with ``grad``, or its Hessian times the directions."""
        result = torch.zeros_like(positions)
        # On the CPU a few long runs, each level by level, so that a level's entries stay in the cache.
        n_pieces = 4 * torch.get_num_threads() if positions.device.type == "cpu" else None
        run = 1 if n_pieces is None else max(-(-len(positions) // n_pieces), 1)
        grid = [*self._grid(len(positions), run), self.n_active_levels]
        arguments = [positions, directions, self._vectors(table), *grid, self._rows(grad), result]
        n_runs = -(-len(positions) // run)
        self._launch(name, table, n_runs, arguments, n_pieces and n_runs)
        return result

    def _runs(self, positions: Tensor) -> tuple[int, int]:
        run = _RUN[positions.device.type]
        return run, -(-len(positions) // run)

    def _grid(self, n: int, run: int) -> list[Any]:
        return [*self.levels, int(self.smoothstep), n, run]

    @staticmethod
    def _rows(grad: Tensor) -> Tensor:
        """The gradient of features as the kernels lay these out, in float32."""
        if grad.is_cuda:
            return (
                torch.empty_like(grad.t(), dtype=torch.float32, memory_format=torch.contiguous_format)
                .copy_(grad.t())
                .view(-1)
            )
        return grad.t().contiguous().float().view(-1)  # much faster there than transposing and converting at once

    @staticmethod
    def _vectors(table: Tensor) -> tuple[Tensor, Any]:
        import warp as wp

        return table, wp.types.vector(length=table.shape[1], dtype=wp.dtype_from_torch(table.dtype))

    @staticmethod
    def _launch(
        name: str,
        table: Tensor,
        n_items: int,
        arguments: list[Any],
        n_pieces: int | None = None,
        features_dtype: torch.dtype = torch.float32,
    ) -> None:
        import warp as wp

        from nerf_plugins.kernels.hash_encoding import kernels_for
        from nerf_plugins.kernels.launch import launch

        dtypes = (wp.dtype_from_torch(dtype) for dtype in (table.dtype, features_dtype))
        kernels = kernels_for(table.shape[1], *dtypes)
        launch(getattr(kernels, name), n_items, arguments, table.device, n_pieces)


# ``table`` is the float32 table, which gets the gradient; ``entries`` is what the kernels read, the table itself or its copy in half
# precision. Were the copy made by autograd, the table's gradient would pass through half precision too, and lose what is small.
class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, positions: Tensor, table: Tensor, entries: Tensor, features_dtype: torch.dtype, call: _Call
    ) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(positions, table, entries)
        ctx.call = call
        return call.encode(positions, entries, features_dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        positions, table, entries = ctx.saved_tensors
        wants, call = ctx.needs_input_grad, ctx.call
        grad_positions = _PositionGradient.apply(positions, table, entries, grad, call) if wants[0] else None
        grad_table = _TableGradient.apply(positions, grad, table.shape, call) if wants[1] else None
        return grad_positions, grad_table, None, None, None


class _TableGradient(torch.autograd.Function):
    """Linear in ``grad``, so its derivatives are an encoding of the table's cotangent and a position gradient."""

    @staticmethod
    def forward(ctx: Any, positions: Tensor, grad: Tensor, shape: torch.Size, call: _Call) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(positions, grad)
        ctx.call = call
        return call.scatter("scatter", positions, positions, grad, shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        positions, grad = ctx.saved_tensors
        grad_out = grad_out.contiguous()
        to_positions = ctx.call.to_positions("position_gradient", positions, positions, grad_out, grad)
        return to_positions, ctx.call.encode(positions, grad_out, torch.float32), None, None


class _PositionGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, table: Tensor, entries: Tensor, grad: Tensor, call: _Call) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(positions, entries, grad)
        ctx.call = call
        return call.to_positions("position_gradient", positions, positions, entries, grad)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        positions, entries, grad = ctx.saved_tensors
        call, along = ctx.call, along.contiguous()
        wants = ctx.needs_input_grad
        to_positions = call.to_positions("position_bend", positions, along, entries, grad) if wants[0] else None
        to_table = call.scatter("scatter_along", positions, along, grad, entries.shape) if wants[1] else None
        to_grad = call.encode_along(positions, along, entries) if wants[3] else None
        return to_positions, to_table, None, to_grad, None


def hash_encode(
    positions: Float[Tensor, "n 3"],
    table: Float[Tensor, "n_entries n_features"],
    levels: HashLevels,
    *,
    n_active_levels: int | None = None,
    smoothstep: bool = False,
    table_dtype: torch.dtype = torch.float32,
    features_dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "n width"]:
    r"""Features of positions, interpolated in each level of a multiresolution grid whose fine levels share entries by a hash.

    Level l: with :math:`p = x N_l + \tfrac12`, the features are :math:`\sum_c w_c \theta_{h(\lfloor p \rfloor + c)}` over the eight
    corners c, :math:`w_c` the trilinear weights of p's fractional part t, or those of :math:`3t^2 - 2t^3`. Hash
    :math:`h(v) = (v_x \oplus 2654435761\, v_y \oplus 805459861\, v_z) \bmod 2^T`.

    Args:
        positions: x in [0, 1]^3, float32; outside they are clamped, and have no gradient. What is no number is taken for 0.
        table: entries :math:`\theta` of all levels, float32, with 1, 2, 4 or 8 features.
        levels: where each level's entries are, on the same device.
        n_active_levels: finer levels give 0 and get no gradient; None for all.
        smoothstep: interpolate with a continuous slope.
        table_dtype: what :math:`\theta` is read in: float32, or float16 or bfloat16 from a copy of the table, made anew at each call.
        features_dtype: float32, float16 or bfloat16. Interpolation is float32, whatever the dtypes.

    Returns:
        Features, level by level. Differentiable twice in ``table`` and ``positions``, with float32 gradients, as if rounding were the
        identity. Autograd hands the features' own gradient in in ``features_dtype``: in float16 what is below 3e-8 vanishes, unless the
        loss is scaled up. On CUDA the table's gradient is summed in no fixed order.

    Raises:
        TypeError: an argument of another type or dtype.
        ValueError: an argument of another shape, device or range.

    Example:
        One dense level with 3 vertices along an axis, whose entries are their own numbers ``x + 3 y + 9 z``. The first position lies
        on the vertex (1, 1, 1), the second halfway to the next one along x.

        >>> levels = hash_levels(n_levels=1, base_resolution=3, max_resolution=3, log2_table_size=5)
        >>> table = torch.arange(32.0)[:, None]
        >>> hash_encode(torch.tensor([[0.25, 0.25, 0.25], [0.5, 0.25, 0.25]]), table, levels)
        tensor([[13.0000],
                [13.5000]])

    Source: Müller et al., Instant Neural Graphics Primitives, 2022, section 3 and appendix A.
    """
    positions, table, call = _check(positions, table, levels, n_active_levels, smoothstep)
    _require_dtype("features_dtype", features_dtype)
    return _Encode.apply(positions, table, _entries(table, table_dtype), features_dtype, call)


def hash_encode_backward(
    positions: Float[Tensor, "n 3"],
    table: Float[Tensor, "n_entries n_features"],
    grad: Float[Tensor, "n width"],
    levels: HashLevels,
    *,
    n_active_levels: int | None = None,
    smoothstep: bool = False,
    table_dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "n 3"]:
    """The gradient with respect to ``positions`` of a scalar whose gradient with respect to the features is ``grad``; itself
    differentiable once in all three. Arguments and errors as in :func:`hash_encode`; gradients are float32.

    Example:
        In the table of :func:`hash_encode`'s example the feature grows by 1, 3 and 9 from a vertex to the next, which are 1/2 apart.

        >>> levels = hash_levels(n_levels=1, base_resolution=3, max_resolution=3, log2_table_size=5)
        >>> hash_encode_backward(torch.full((1, 3), 0.25), torch.arange(32.0)[:, None], torch.ones(1, 1), levels)
        tensor([[ 2.,  6., 18.]])
    """
    positions, table, call = _check(positions, table, levels, n_active_levels, smoothstep)
    grad = require_tensor("grad", grad, torch.float32, (len(positions), len(levels.scales) * table.shape[1]))
    require_same_device(positions=positions, grad=grad)
    return _PositionGradient.apply(positions, table, _entries(table, table_dtype), grad, call)


def _entries(table: Tensor, table_dtype: torch.dtype) -> Tensor:
    _require_dtype("table_dtype", table_dtype)
    return table.detach().to(table_dtype)


def _require_dtype(name: str, dtype: torch.dtype) -> None:
    if dtype not in _DTYPES:
        raise ValueError(f"{name} must be torch.float32, float16 or bfloat16, got {dtype!r}")


def _check(
    positions: Tensor, table: Tensor, levels: HashLevels, n_active_levels: int | None, smoothstep: bool
) -> tuple[Tensor, Tensor, _Call]:
    positions = require_tensor("positions", positions, torch.float32, (None, 3))
    table = require_tensor("table", table, torch.float32, (None, None))
    if table.shape[1] not in _FEATURES:
        raise ValueError(f"table must have 1, 2, 4 or 8 features, got {table.shape[1]}")
    n_levels = len(levels.scales)
    scales = require_tensor("levels.scales", levels.scales, torch.float32, (None,))
    resolutions = require_tensor("levels.resolutions", levels.resolutions, torch.int32, (n_levels,))
    offsets = require_tensor("levels.offsets", levels.offsets, torch.int32, (n_levels + 1,))
    require_same_device(positions=positions, table=table, scales=scales, resolutions=resolutions, offsets=offsets)
    if table.device.type == "cpu" and int(offsets[-1]) != len(table):
        raise ValueError(f"table must have levels.offsets[-1] = {int(offsets[-1])} entries, got {len(table)}")
    n_active = require_count("n_active_levels", n_active_levels, n_levels)
    if n_active > n_levels:
        raise ValueError(f"n_active_levels must be at most {n_levels}, got {n_active}")
    return positions, table, _Call(HashLevels(scales, resolutions, offsets), n_active, smoothstep)
