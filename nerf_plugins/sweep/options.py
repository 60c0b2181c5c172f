"""The options of `nerf-plugins sweep`; imports nothing heavy, so that the command line is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class SweepOptions:
    """Train a grid of runs from a recipe: methods, numbers of images, seeds, steps and any option. Called again, it goes on where it was.

    The exit code is 0 if every checkpoint is there, else 1.
    """

    recipe: Positional[Path]
    """YAML file with methods, dataparser, data, n_images, seeds, steps, options and grid; see configs/sweeps/demo.yaml."""
    workers: Literal["local", "ray"] = "local"
    """local: processes on this machine.
    ray: on a Ray cluster (pip install -e ".[sweep-ray]"), whose machines see output folder and data under the same paths."""
    jobs: int = 1
    """Local: runs trained at the same time. They share the GPU; with several GPUs use Ray, which gives each run its own."""
    ray_address: str | None = None
    """The Ray cluster, "auto" for the running one. None: one on this machine for as long as the sweep lasts."""
    cpus_per_run: float = 1.0
    """Ray: CPU cores that a run takes."""
    gpus_per_run: float | None = None
    """Ray: GPUs that a run takes. None: 1 if this machine has CUDA, else 0."""
    dry_run: bool = False
    """Check the recipe and show the table as it stands; train and write nothing."""
