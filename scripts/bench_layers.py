#!/usr/bin/env python3
"""Times the hash field's hidden layers (32 -> 64 -> 64, relu) as this package computes them, beside what could fuse them into one kernel.

python scripts/bench_layers.py --rows 8192
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportInvalidTypeForm=false
# (Warp's kernel language: Python's syntax, not its types)

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
import tyro
import warp as wp
from bench_march import median_ms
from bench_report import device_name
from rich.console import Console
from torch import Tensor, nn

import nerf_plugins.kernels  # noqa: F401  Warp without its banner
from nerf_plugins.engine.memory import keep_freed_memory
from nerf_plugins.errors import InputError
from nerf_plugins.fields.layers import make_layers
from nerf_plugins.fields.precision import resolve_precision
from nerf_plugins.files.tables import markdown_table

warnings.filterwarnings("ignore")
console = Console(width=140)

WIDTH_IN, WIDTH = wp.constant(32), wp.constant(64)
ROWS = wp.constant(64)
"""Rows that a block of the Warp kernel keeps in shared memory."""
_THREADS = 128


@dataclass
class Options:
    """The hash field's layers alone."""

    rows: int = 8192
    """Samples of a call; a multiple of 64."""
    repeats: int = 30
    """Timed runs; the median is printed."""

    def __post_init__(self) -> None:
        if self.rows < 1 or self.rows % ROWS:
            raise SystemExit(f"--rows {self.rows} must be a positive multiple of {ROWS}")


@dataclass
class Passes:
    """What is timed of one implementation."""

    forward: Callable[[], object]
    both: Callable[[], object]
    """Forward, and the gradients of input and weights."""


def torch_passes(module: Callable[[Tensor], Tensor], parameters: list[Tensor], x: Tensor) -> Passes:
    """Of anything that autograd goes through."""
    needing = x.clone().requires_grad_()
    upstream = torch.ones(len(x), WIDTH, dtype=x.dtype, device=x.device)

    def forward() -> Tensor:
        with torch.no_grad():
            return module(x)

    def both() -> None:
        torch.autograd.grad(module(needing), [needing, *parameters], upstream)

    return Passes(forward, both)


@wp.func
def relu(x: wp.float32) -> wp.float32:
    """max(x, 0)."""
    return wp.max(x, 0.0)


@wp.kernel
def fused_layers(
    x: wp.array2d(dtype=wp.float32),
    first: wp.array2d(dtype=wp.float32),
    second: wp.array2d(dtype=wp.float32),
    result: wp.array2d(dtype=wp.float32),
):
    """A block takes some rows through both layers (no biases); what is between them never leaves the block."""
    row = wp.tid() * ROWS
    rows = wp.tile_load(x, shape=(ROWS, WIDTH_IN), offset=(row, 0))
    hidden = wp.tile_map(relu, wp.tile_matmul(rows, wp.tile_load(first, shape=(WIDTH_IN, WIDTH))))
    out = wp.tile_map(relu, wp.tile_matmul(hidden, wp.tile_load(second, shape=(WIDTH, WIDTH))))
    wp.tile_store(result, out, offset=(row, 0))


def warp_passes(x: Tensor) -> Passes:
    """Of the Warp kernel, whose gradient Warp derives; fp32."""
    device = str(x.device)
    weights = [0.1 * torch.randn(n, WIDTH, device=x.device) for n in (WIDTH_IN, WIDTH)]
    inputs = [wp.from_torch(tensor, requires_grad=True) for tensor in (x.float(), *weights)]
    result = wp.zeros((len(x), WIDTH), dtype=wp.float32, device=device, requires_grad=True)

    def forward() -> None:
        wp.launch_tiled(
            fused_layers, dim=[len(x) // ROWS], inputs=inputs, outputs=[result], block_dim=_THREADS, device=device
        )

    def both() -> None:
        with wp.Tape() as tape:
            forward()
        assert result.grad is not None
        result.grad.fill_(1.0)
        tape.backward()
        tape.zero()

    forward()
    reference = ((x.float() @ weights[0]).relu() @ weights[1]).relu()
    torch.testing.assert_close(wp.to_torch(result), reference, rtol=2e-2, atol=2e-2)
    return Passes(forward, both)


def implementations(x: Tensor) -> dict[str, Passes]:
    """Those that work here; a line says why another does not."""
    ours = make_layers(WIDTH_IN, WIDTH, 2, "torch").to(x.device)
    found = {"ours, torch": torch_passes(ours, list(ours.parameters()), x)}
    makers: dict[str, Callable[[], Passes]] = {
        "torch.compile": lambda: compiled_passes(ours, x),
        "tiny-cuda-nn": lambda: tcnn_passes(x),
        "Warp tiles, fp32": lambda: warp_passes(x),
    }
    for name, make in makers.items():
        try:
            found[name] = make()
        except (InputError, RuntimeError, NotImplementedError) as e:
            console.print(f"{name}: {str(e).splitlines()[0]}", markup=False)
    return found


def compiled_passes(module: nn.Module, x: Tensor) -> Passes:
    """Of what torch.compile makes of our layers; on a CPU it needs a C++ compiler."""
    passes = torch_passes(torch.compile(module, dynamic=False), list(module.parameters()), x)
    passes.both()
    return passes


def tcnn_passes(x: Tensor) -> Passes:
    """Of tiny-cuda-nn's network, where it is installed."""
    module = make_layers(WIDTH_IN, WIDTH, 2, "tcnn").to(x.device)
    return torch_passes(module, list(module.parameters()), x)


def main() -> None:
    """Prints milliseconds, and how many times as long each takes as ours."""
    options = tyro.cli(Options)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    keep_freed_memory()
    torch.manual_seed(0)
    x = torch.rand(options.rows, WIDTH_IN, device=device, dtype=resolve_precision("auto", device))
    times = {
        name: [median_ms(run, options.repeats) for run in (passes.forward, passes.both)]
        for name, passes in implementations(x).items()
    }
    ours = times["ours, torch"]
    lines = [[name, *[f"{t:.2f} ({t / base:.2f})" for t, base in zip(row, ours)]] for name, row in times.items()]
    console.print(f"{device_name()}, {options.rows} rows, {x.dtype}; ms (times ours)", markup=False)
    print(markdown_table([["", "forward", "forward + backward"], *lines]))


if __name__ == "__main__":
    main()
