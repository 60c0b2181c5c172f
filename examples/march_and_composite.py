#!/usr/bin/env python3
"""Marches rays through a voxel grid, composites what they meet, and learns the voxels' colours back from the picture.

Needs ``nerf_plugins.ops`` only, no nerfstudio: torch tensors in, torch tensors out, on CUDA and CPU.

    python examples/march_and_composite.py --output-path ball.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import tyro
from PIL import Image
from torch import Tensor

from nerf_plugins.ops import PackedSamples, blend_background, composite, empty_blocks, march_grid

CELLS = 32
AABB = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
WHITE = torch.ones(3)


def ball() -> tuple[Tensor, Tensor]:
    """Densities and colours of the grid's cells, ``(cells, cells, cells)`` and ``(cells, cells, cells, 3)``: a ball, red to the right."""
    axis = (torch.arange(CELLS) + 0.5) / CELLS * 2.0 - 1.0
    centres = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    return 20.0 * (centres.norm(dim=-1) < 0.8), 0.5 + 0.5 * centres


def camera_rays(side: int) -> tuple[Tensor, Tensor]:
    """Origins and unit directions ``(side * side, 3)`` of a camera at (0, 0, 3) that looks along -z."""
    pixels = (torch.arange(side) + 0.5) / side - 0.5
    y, x = torch.meshgrid(-pixels, pixels, indexing="ij")
    directions = torch.stack([x, y, -torch.ones_like(x)], dim=-1).view(-1, 3)
    directions = directions / directions.norm(dim=-1, keepdim=True)
    return torch.tensor([0.0, 0.0, 3.0]).expand_as(directions), directions


def cells_of(samples: PackedSamples, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The cell, along x, y and z, that each sample's midpoint lies in."""
    rays, midpoints = samples.ray_indices.long(), 0.5 * (samples.t_starts + samples.t_ends)
    positions = origins[rays] + midpoints[:, None] * directions[rays]
    index = ((positions - AABB[0]) / (AABB[1] - AABB[0]) * CELLS).long().clamp(0, CELLS - 1)
    return index[:, 0], index[:, 1], index[:, 2]


def main(output_path: Path = Path("ball.png"), side: int = 128, steps: int = 40) -> None:
    """Renders the ball, learns it, and writes both pictures side by side.

    Args:
        output_path: PNG file to write, never over another one.
        side: width and height of a picture in pixels.
        steps: of Adam.
    """
    if output_path.exists():
        sys.exit(f"error: {output_path} exists and is not overwritten")
    densities, colors = ball()
    origins, directions = camera_rays(side)
    occupancy = (densities > 0.0)[None]  # one level; more would surround it with coarser grids
    samples = march_grid(
        origins,
        directions,
        nears=torch.zeros(len(origins)),
        fars=torch.full((len(origins),), 10.0),
        occupancy=occupancy,
        aabb=AABB,
        empty_blocks=empty_blocks(occupancy),  # longer jumps through empty space, to the same samples
        step_size=1.0 / CELLS,
    )
    cells = cells_of(samples, origins, directions)

    def render(colors: Tensor) -> Tensor:
        seen = composite(densities[cells], colors[cells], samples.t_starts, samples.t_ends, samples.packed_info)
        return blend_background(seen.rgb, seen.accumulation, WHITE)

    target = render(colors)
    learned = torch.full_like(colors, 0.5).requires_grad_()
    optimizer = torch.optim.Adam([learned], lr=0.05)
    errors = []
    for _ in range(steps):
        error = (render(learned) - target).square().mean()
        optimizer.zero_grad()
        error.backward()  # composite is differentiable in densities and colours
        optimizer.step()
        errors.append(error.item())
    print(f"{len(samples.t_starts)} samples; mean squared error {errors[0]:.2e} -> {errors[-1]:.2e}")
    both = torch.cat([target.view(side, side, 3), render(learned).detach().view(side, side, 3)], dim=1)
    with output_path.open("xb") as file:
        Image.fromarray((both.clamp(0.0, 1.0) * 255.0).round().byte().numpy()).save(file, "PNG")
    print(output_path)


if __name__ == "__main__":
    tyro.cli(main)
