"""The options of `nerf-plugins metrics`; imports nothing heavy, so that the command line is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class MetricsOptions:
    """Evaluate many runs and checkpoints on their held-out images: one CSV, one markdown table, plots and pictures side by side.

    The exit code is 0 if every run could be evaluated, else 1.
    """

    runs: Positional[tuple[Path, ...]]
    """Runs: each a config.yml, or a folder that is searched for them, such as a sweep's."""
    output_dir: Path | None = None
    """Folder for metrics.csv, metrics.md, the plots and pictures. None: outputs/metrics/TIME. Nothing there is overwritten."""
    checkpoints: Literal["all", "last"] = "all"
    """Every checkpoint of a run, or only its last."""
    pictures: int = 3
    """For so many evaluation images, evenly spread: truth, render, error, depth and normals side by side, for each checkpoint."""
