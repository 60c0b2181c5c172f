#!/usr/bin/env python3
"""Times the multiresolution hash encoding beside nerfstudio's in torch, and tiny-cuda-nn's where that is installed.

python scripts/bench_encoding.py --positions 65536
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
import tyro
from bench_march import median_ms
from bench_report import device_name
from nerfstudio.field_components.encodings import HashEncoding as TorchHashEncoding
from rich.console import Console
from torch import Tensor

from nerf_plugins.engine.memory import keep_freed_memory
from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import HashEncoding, HashEncodingConfig
from nerf_plugins.files.tables import markdown_table

warnings.filterwarnings("ignore")
console = Console(width=140)


@dataclass
class Options:
    """The hash encoding alone."""

    positions: int = 1 << 16
    """Random positions of a call."""
    log2_table_size: int = 19
    """Entries of a level, as a power of 2."""
    repeats: int = 15
    """Timed runs; the median is printed."""


Encode = Callable[[Tensor], Tensor]


def encodings(options: Options, device: torch.device) -> dict[str, tuple[Encode, torch.nn.Module]]:
    """Name -> positions in [0, 1]^3 to features, and the module with its parameters."""
    found: dict[str, tuple[Encode, torch.nn.Module]] = {}
    for name, changes in {
        "ours, fp32": {},
        "ours, fp16 table": {"precision": "fp16"},
        "ours, bf16 table": {"precision": "bf16"},
        "tiny-cuda-nn": {"implementation": "tcnn"},
    }.items():
        try:
            module = HashEncoding(HashEncodingConfig(log2_table_size=options.log2_table_size, **changes)).to(device)  # type: ignore[arg-type]
        except InputError as e:
            console.print(f"{name}: {e}", markup=False)
            continue
        found[name] = (lambda x, m=module: m(2.0 * x - 1.0), module)
    c = HashEncodingConfig(log2_table_size=options.log2_table_size)
    torch_module = TorchHashEncoding(
        num_levels=c.n_levels,
        min_res=c.base_resolution,
        max_res=c.max_resolution,
        log2_hashmap_size=c.log2_table_size,
        implementation="torch",
    ).to(device)
    found["nerfstudio, torch"] = (torch_module, torch_module)
    return found


def passes(encode: Encode, module: torch.nn.Module, positions: Tensor) -> dict[str, Callable[[], object]]:
    """What is timed: features, and gradients of a scalar with respect to the table, to the positions, and of the positions' gradient."""
    needing = positions.clone().requires_grad_()

    def forward() -> Tensor:
        with torch.no_grad():
            return encode(positions)

    def to_table() -> None:
        module.zero_grad(set_to_none=True)
        encode(positions).sum().backward()

    def to_both() -> None:
        module.zero_grad(set_to_none=True)
        needing.grad = None
        encode(needing).sum().backward()

    def second_order() -> None:
        module.zero_grad(set_to_none=True)
        (slopes,) = torch.autograd.grad(encode(needing).square().sum(), needing, create_graph=True)
        slopes.square().sum().backward()

    names = ["forward", "+ table gradient", "+ position gradient", "second order"]
    return dict(zip(names, (forward, to_table, to_both, second_order)))


def time_of(run: Callable[[], object], repeats: int) -> float:
    """Median milliseconds; nan where the encoding cannot do it."""
    try:
        return median_ms(run, repeats)
    except (RuntimeError, NotImplementedError):
        return math.nan


def main() -> None:
    """Prints milliseconds, and how many times as long each takes as ours."""
    options = tyro.cli(Options)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    keep_freed_memory()
    torch.manual_seed(0)
    positions = torch.rand(options.positions, 3, device=device)
    times: dict[str, dict[str, float]] = {}
    for name, (encode, module) in encodings(options, device).items():
        runs = passes(encode, module, positions).items()
        times[name] = {what: time_of(run, options.repeats) for what, run in runs}
    ours = times["ours, fp32"]
    lines = [[name, *[f"{ms:.1f} ({ms / ours[what]:.2f})" for what, ms in row.items()]] for name, row in times.items()]
    console.print(
        f"{device_name()}, {options.positions} positions, 16 levels of 2 features, 2^{options.log2_table_size} entries; ms (times ours)"
    )
    print(markdown_table([["", *ours], *lines]))


if __name__ == "__main__":
    main()
