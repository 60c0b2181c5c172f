"""PSNR over the number of training images and over steps."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from nerf_plugins.evaluation.tables import Setting
from nerf_plugins.files.writing import new_file

AXES = {"n_images": "training images", "steps": "training steps"}
FILES = {axis: f"psnr_over_{axis}.png" for axis in AXES}


def plot_psnr(settings: Sequence[Setting], folder: Path) -> list[Path]:
    """Writes psnr_over_n_images.png and psnr_over_steps.png, each where there is more than one value to plot over; a line for each
    setting, with bars of one standard deviation over seeds.

    Returns:
        The files.

    Raises:
        InputError: a file exists, or cannot be written.
    """
    paths = []
    for axis, label in AXES.items():
        if len({getattr(setting, axis) for setting in settings}) > 1:
            paths.append(folder / FILES[axis])
            _plot(lines_over(axis, settings), label, paths[-1])
    return paths


def lines_over(axis: str, settings: Sequence[Setting]) -> dict[str, list[tuple[int, float, float]]]:
    """For each line's name its points: the axis' value, PSNR and its standard deviation over seeds, by the axis' value."""
    other = "steps" if axis == "n_images" else "n_images"
    word = {"steps": "steps", "n_images": "images"}[other]
    several = len({getattr(setting, other) for setting in settings}) > 1
    lines: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for setting in settings:
        psnr = setting.mean_and_std("psnr")
        if psnr is not None:
            name = f"{setting.name}, {getattr(setting, other)} {word}" if several else setting.name
            lines[name].append((getattr(setting, axis), *psnr))
    return {name: sorted(points) for name, points in lines.items()}


def _plot(lines: dict[str, list[tuple[int, float, float]]], label: str, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [textwrap.fill(name, 110) for name in lines]
    height = 4.5 + 0.18 * sum(
        name.count("\n") + 1 for name in names
    )  # the legend stands under the plot and takes nothing from it
    figure = Figure(figsize=(7.5, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, points in zip(names, lines.values()):
        x, psnr, std = zip(*points)
        axes.errorbar(x, psnr, yerr=std, marker="o", capsize=3, label=name)
    axes.set(xlabel=label, ylabel="PSNR of held-out images, dB")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower left", fontsize="x-small")
    with new_file(path, "--output-dir") as part:
        figure.savefig(part)
