"""Tables, CSV and plot of what scripts/bench_train.py measured, and the device's name for the titles of all benchmarks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch

from nerf_plugins.files.tables import markdown_table, update_csv


@dataclass
class Result:
    """What one method did."""

    method: str
    rows: list[dict[str, float]] = field(default_factory=list)
    """At each checkpoint: seconds, steps, rates since the one before, peak memory, metrics."""
    parts: dict[str, float] = field(default_factory=dict)
    """Seconds spent in each part of all steps."""
    failure: str | None = None
    """Why it did not run."""


def device_name() -> str:
    """The device that the benchmarks run on."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"


def report(results: list[Result], title: str, folder: Path | None) -> str:
    """The results as markdown; written into the folder too, with a CSV and a plot.

    Args:
        results: of the methods, in order.
        title: says the machine.
        folder: where to; None for nowhere.
    """
    text = "\n\n".join([title, checkpoint_table(results), rate_table(results), *parts_lines(results)])
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.md").write_text(text + "\n", encoding="utf-8")
        write_csv(results, folder / "results.csv")
        plot_psnr(results, folder / "psnr.png")
    return text


def checkpoint_table(results: list[Result]) -> str:
    """One line a method and checkpoint."""
    columns = {
        "train s": ("seconds", ".0f"),
        "steps": ("steps", ".0f"),
        "PSNR": ("psnr", ".2f"),
        "SSIM": ("ssim", ".3f"),
        "LPIPS": ("lpips", ".3f"),
        "rays/s": ("rays_per_s", ".0f"),
        "samples/s": ("samples_per_s", ".2e"),
        "s/view": ("s_per_view", ".3f"),
        "peak GiB": ("peak_gib", ".2f"),
    }
    lines = [[result.method, *cells(row, columns)] for result in results for row in result.rows]
    empty = [""] * (len(columns) - 1)
    lines += [[result.method, f"did not run: {result.failure}", *empty] for result in results if result.failure]
    return markdown_table([["method", *columns], *lines])


def rate_table(results: list[Result]) -> str:
    """Rays per second of the last checkpoints, each over each peer's."""
    ran = [result for result in results if result.rows]
    lines = [[a.method, *[f"{a.rows[-1]['rays_per_s'] / b.rows[-1]['rays_per_s']:.1f}" for b in ran]] for a in ran]
    return markdown_table([["rays/s, times that of", *[result.method for result in ran]], *lines])


def parts_lines(results: list[Result]) -> list[str]:
    """Milliseconds a step by part."""
    return [
        f"{r.method}, ms a step: " + ", ".join(f"{k} {v / r.rows[-1]['steps'] * 1e3:.1f}" for k, v in r.parts.items())
        for r in results
        if r.rows
    ]


def cells(row: dict[str, float], columns: dict[str, tuple[str, str]]) -> list[str]:
    """Formatted values; what was not measured is a dash."""
    values = [(row.get(key, math.nan), form) for key, form in columns.values()]
    return ["-" if math.isnan(value) else format(value, form) for value, form in values]


def write_csv(results: list[Result], path: Path) -> None:
    """All checkpoints of all methods."""
    names = list(dict.fromkeys(key for result in results for row in result.rows for key in row))
    rows = [{"method": result.method, **row} for result in results for row in result.rows]
    update_csv(path, ["method", *names], rows)


def plot_psnr(results: list[Result], path: Path) -> None:
    """PSNR over training time."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for result in results:
        points = [(row["seconds"], row["psnr"]) for row in result.rows if "psnr" in row]
        if points:
            axes.plot(*zip(*points), marker="o", label=result.method)
    axes.set(xlabel="seconds of training", ylabel="PSNR of held-out views, dB")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
