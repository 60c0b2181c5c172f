"""Slow reference of the multiresolution hash encoding, in float64 and from its definition: vertices in Python's integers, interpolation
in torch, derivatives by autograd.
"""

import math

import torch
from torch import Tensor


def vertices_per_side(level: int, n_levels: int, base: int, finest: int) -> tuple[float, int]:
    """(cells, vertices) along an axis."""
    growth = (finest / base) ** (1 / (n_levels - 1)) if n_levels > 1 else 1.0
    cells = base * growth**level - 1
    return cells, math.ceil(round(cells, 6)) + 1


def entry_of(vertex: tuple[int, int, int], side: int, size: int) -> int:
    """The entry of a vertex within its level: its place in the dense grid, if that fits, else its hash."""
    x, y, z = vertex
    if side**3 <= size:
        return (x + y * side + z * side * side) % size
    return ((x ^ (y * 2654435761 & 0xFFFFFFFF) ^ (z * 805459861 & 0xFFFFFFFF)) & 0xFFFFFFFF) % size


def level_sizes(n_levels: int, base: int, finest: int, log2_size: int) -> list[int]:
    """Entries of each level: all vertices, rounded up to 8, but at most 2^log2_size."""
    sides = [vertices_per_side(level, n_levels, base, finest)[1] for level in range(n_levels)]
    return [min(math.ceil(side**3 / 8) * 8, 2**log2_size) for side in sides]


def encode(
    positions: Tensor, table: Tensor, n_levels: int, base: int, finest: int, log2_size: int, *, smoothstep: bool = False
) -> Tensor:
    """Features (n, n_levels * n_features) of positions in [0, 1]^3; ``table`` has the levels one after the other."""
    features, first = [], 0
    for level, size in enumerate(level_sizes(n_levels, base, finest, log2_size)):
        cells, side = vertices_per_side(level, n_levels, base, finest)
        grid_positions = positions.clamp(0, 1) * cells + 0.5
        corners = grid_positions.detach().floor()
        t = grid_positions - corners
        if smoothstep:
            t = 3 * t**2 - 2 * t**3
        total = torch.zeros(len(positions), table.shape[1], dtype=table.dtype)
        for dx in (0, 1):
            for dy in (0, 1):
                for dz in (0, 1):
                    entries = [
                        first + entry_of((int(x) + dx, int(y) + dy, int(z) + dz), side, size)
                        for x, y, z in corners.tolist()
                    ]
                    upper = torch.tensor([dx, dy, dz], dtype=torch.bool)
                    weight = torch.where(upper, t, 1 - t).prod(-1)
                    total = total + weight[:, None] * table[torch.tensor(entries, dtype=torch.long)]
        features.append(total)
        first += size
    assert first == len(table)
    return torch.cat(features, dim=-1)
