#!/usr/bin/env python3
"""What share of its steps a training keeps while other programs want the CPU: steps a second beside busy processes, over those alone.

python scripts/bench_busy.py nerf-hash-custom mip-nerf-custom --busy 2

With c cores and b busy processes a fair share is c / (c + b). On a machine that does nothing else, with OMP_NUM_THREADS unset.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import torch
import tyro
from bench_report import device_name
from bench_train import Options as TrainOptions
from bench_train import Run, allow_missing_lpips

from nerf_plugins.doctor.methods import installed
from nerf_plugins.fields.base import NO_DATASET
from nerf_plugins.files.tables import markdown_table


@dataclass
class Options:
    """The share that is kept."""

    methods: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Their names; none for all of this package."""
    busy: int = 2
    """Busy processes beside the training."""
    seconds: float = 10.0
    """Time of each count of steps: alone, beside them, and alone again."""
    settle: float = 4.0
    """Time before each count, in which the threads find their number."""
    resolution: int = 100
    """Side of the demo scene's pictures."""


@contextlib.contextmanager
def busy_processes(n: int) -> Iterator[None]:
    """n processes that compute without a pause."""
    processes = [multiprocessing.get_context("spawn").Process(target=spin, daemon=True) for _ in range(n)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def spin() -> None:
    """Computes until it is stopped."""
    while True:
        pass


def steps_a_second(run: Run, settle: float, seconds: float) -> float:
    """Trains for a while, then counts."""
    train_for(run, settle)
    return train_for(run, seconds)


def train_for(run: Run, seconds: float) -> float:
    """Steps a second."""
    start, before = time.perf_counter(), run.steps
    while (elapsed := time.perf_counter() - start) < seconds or run.steps == before:
        run.step()
    return (run.steps - before) / elapsed


def measure(options: Options, method: str) -> dict[str, str]:
    """A row of the table; what a method's process does."""
    warnings.filterwarnings("ignore")
    allow_missing_lpips()
    scene = (f"scene={scene_for(method)}", f"resolution={options.resolution}")
    run = Run(TrainOptions(dataparser="demo-data", dataparser_options=scene), method)
    before = steps_a_second(run, options.settle, options.seconds)
    with busy_processes(options.busy):
        beside = steps_a_second(run, options.settle, options.seconds)
    after = steps_a_second(run, options.settle, options.seconds)
    return {
        "method": f"`{method}`",
        "steps/s alone": f"{before:.2f}, {after:.2f}",
        f"beside {options.busy}": f"{beside:.2f}",
        "share": f"{2 * beside / (before + after):.2f}",
    }


def scene_for(method: str) -> str:
    """A demo scene that the method can be trained on."""
    from nerfstudio.configs.method_configs import all_methods

    needs = all_methods[method].pipeline.model.field.setup(dataset=NO_DATASET).needs
    return "moving" if "times" in needs else "demo"


def main() -> None:
    """Measures one method after the other, each in a process of its own, and prints the table."""
    options = tyro.cli(Options, description=__doc__)
    rows = []
    for method in options.methods or installed("methods"):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            rows.append(pool.submit(measure, options, method).result())
        print(rows[-1], file=sys.stderr, flush=True)
    print(f"{device_name()}, torch {torch.__version__}\n")
    print(markdown_table([[*rows[0]], *([*row.values()] for row in rows)]))


if __name__ == "__main__":
    main()
