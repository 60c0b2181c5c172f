#!/usr/bin/env python3
"""Times marching and compositing on rays through the demo scene, beside nerfacc where its CUDA extension can be used.

python scripts/bench_march.py --rays 65536
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import tyro
from bench_report import device_name
from rich.console import Console
from rich.table import Table
from torch import Tensor

from nerf_plugins.ops import composite, empty_blocks, march_grid
from nerf_plugins.scenes.cameras import look_at
from nerf_plugins.scenes.demo import demo_scene

warnings.filterwarnings("ignore")
console = Console(width=120)


@dataclass
class Options:
    """Marching and compositing."""

    rays: int = 65536
    """Rays, from a camera that sees the whole scene."""
    resolution: int = 128
    """Cells along each side of the grid."""
    step_size: float = 0.005
    """Step of the march; the scene box has a side of 2."""
    repeats: int = 20
    """Timed runs; the median is printed."""


@dataclass
class Problem:
    """Rays and a grid."""

    origins: Tensor
    directions: Tensor
    nears: Tensor
    fars: Tensor
    occupancy: Tensor
    aabb: Tensor


def make_problem(options: Options, device: torch.device) -> Problem:
    """Rays of a camera around the demo scene, and the cells within half a cell's diagonal of its surface."""
    side = int(np.ceil(np.sqrt(options.rays)))
    pose = torch.from_numpy(np.asarray(look_at(np.array([2.6, 1.2, 1.6]), np.zeros(3)))).float()
    u, v = torch.meshgrid(torch.linspace(-0.45, 0.45, side), torch.linspace(-0.45, 0.45, side), indexing="xy")
    local = torch.stack([u, v, -torch.ones_like(u)], dim=-1).reshape(-1, 3)[: options.rays]
    directions = torch.nn.functional.normalize(local @ pose[:3, :3].T, dim=-1)
    centres = (torch.arange(options.resolution) + 0.5) / options.resolution * 2 - 1
    points = torch.stack(torch.meshgrid(centres, centres, centres, indexing="ij"), dim=-1).reshape(-1, 3)
    sdf = torch.from_numpy(demo_scene().sdf(points.numpy())).float()
    occupancy = (sdf < 3**0.5 / options.resolution).view(1, *[options.resolution] * 3)
    n = len(directions)
    tensors = (
        pose[:3, 3].expand(n, 3).contiguous(),
        directions,
        torch.full((n,), 0.05),
        torch.full((n,), 1e3),
        occupancy,
        torch.tensor([[-1.0] * 3, [1.0] * 3]),
    )
    return Problem(*[tensor.to(device) for tensor in tensors])


def median_ms(run: Callable[[], object], repeats: int) -> float:
    """Median time of a call, after warm-up, with the device's work finished."""
    times = []
    for _ in range(repeats + 3):
        start = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times[3:]))


def bench_ours(problem: Problem, options: Options, capacity: int | None) -> dict[str, float]:
    """Milliseconds of march, composite forward, forward with backward, and of what is made anew when the grid changes."""
    blocks = empty_blocks(problem.occupancy)

    def march():
        p = problem
        return march_grid(
            p.origins,
            p.directions,
            p.nears,
            p.fars,
            p.occupancy,
            p.aabb,
            empty_blocks=blocks,
            step_size=options.step_size,
            capacity=capacity,
        )

    samples = march()
    sigmas, rgbs = field_values(len(samples.t_starts), problem.origins.device)
    packed = (samples.t_starts, samples.t_ends, samples.packed_info)

    def backward() -> None:
        rendered = composite(sigmas.requires_grad_(), rgbs.requires_grad_(), *packed)
        torch.autograd.grad(rendered.rgb.sum() + rendered.accumulation.sum(), (sigmas, rgbs))

    with torch.no_grad():
        forward_ms = median_ms(lambda: composite(sigmas.detach(), rgbs.detach(), *packed), options.repeats)
    return {
        "samples": float(samples.packed_info[:, 1].sum()),
        "march": median_ms(march, options.repeats),
        "composite": forward_ms,
        "composite + backward": median_ms(backward, options.repeats),
        "empty blocks": median_ms(lambda: empty_blocks(problem.occupancy), options.repeats),
    }


def bench_nerfacc(problem: Problem, options: Options) -> dict[str, float]:
    """The same with nerfacc's traversal and rendering (CUDA only)."""
    import nerfacc

    estimator = nerfacc.OccGridEstimator(roi_aabb=problem.aabb.flatten(), resolution=options.resolution, levels=1)
    estimator.to(problem.origins.device)
    estimator.binaries = problem.occupancy

    def march():
        return estimator.sampling(
            problem.origins, problem.directions, near_plane=0.05, render_step_size=options.step_size, alpha_thre=0.0
        )

    ray_indices, t_starts, t_ends = march()
    sigmas, rgbs = field_values(len(t_starts), problem.origins.device)
    n_rays = len(problem.origins)

    def render() -> Tensor:
        weights, _, _ = nerfacc.render_weight_from_density(
            t_starts, t_ends, sigmas, ray_indices=ray_indices, n_rays=n_rays
        )
        rgb = nerfacc.accumulate_along_rays(weights, rgbs, ray_indices, n_rays)
        accumulation = nerfacc.accumulate_along_rays(weights, None, ray_indices, n_rays)
        return rgb.sum() + accumulation.sum()

    def backward() -> None:
        for values in (sigmas, rgbs):
            values.requires_grad_()
        torch.autograd.grad(render(), (sigmas, rgbs))

    with torch.no_grad():
        forward_ms = median_ms(render, options.repeats)
    return {
        "samples": float(len(t_starts)),
        "march": median_ms(march, options.repeats),
        "composite": forward_ms,
        "composite + backward": median_ms(backward, options.repeats),
    }


def field_values(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random densities and colours."""
    torch.manual_seed(0)
    return torch.rand(n, device=device) * 20, torch.rand(n, 3, device=device)


def main(options: Options) -> None:
    """Prints the table."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    problem = make_problem(options, device)
    rows = {"ours (Warp)": bench_ours(problem, options, capacity=None)}
    if device.type == "cuda":
        capacity = int(1.05 * rows["ours (Warp)"]["samples"])
        rows["ours (Warp), no host sync"] = bench_ours(problem, options, capacity)
        try:
            rows["nerfacc"] = bench_nerfacc(problem, options)
        except Exception as e:  # its extension is built at the first call
            console.print(f"nerfacc cannot run here: {e}")
    else:
        console.print("nerfacc's marching is CUDA only: nothing to compare with on this machine")
    table = Table(
        title=f"{device_name()}, {options.rays} rays, grid {options.resolution}^3; median ms of {options.repeats}"
    )
    columns = ["march", "composite", "composite + backward", "empty blocks"]
    for column in ["", "samples", *columns]:
        table.add_column(column)
    for label, row in rows.items():
        table.add_row(
            label, f"{row['samples']:.0f}", *[f"{row[column]:.2f}" if column in row else "" for column in columns]
        )
    console.print(table)
    console.print("empty blocks: what our march jumps over, made anew only when the grid changes")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
