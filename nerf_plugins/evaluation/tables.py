"""Tables of evaluations: rows for a CSV file, and markdown with the spread over seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nerf_plugins.evaluation.checkpoints import Evaluation
from nerf_plugins.files.tables import markdown_table, update_csv

COLUMNS = {
    "psnr": ".2f",
    "ssim": ".4f",
    "lpips": ".4f",
    "rays_per_s": ".0f",
    "fps": ".2f",
    "train_seconds": ".1f",
    "train_peak_mib": ".0f",
    "occupied_fraction": ".3f",
}
"""What the tables have, and how it is written in markdown."""


@dataclass
class Setting:
    """The evaluations that differ in nothing but the seed."""

    name: str
    """Method and differing options."""
    n_images: int
    steps: int
    evaluations: list[Evaluation]

    def values(self, column: str) -> list[float]:
        """Of each seed, where it is known."""
        rows = [evaluation.mean() | evaluation.facts for evaluation in self.evaluations]
        return [row[column] for row in rows if column in row]

    def mean_and_std(self, column: str) -> tuple[float, float] | None:
        """Over the seeds; the standard deviation is that of a sample, and 0 for one seed. None if nothing is known."""
        values = self.values(column)
        if not values:
            return None
        return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def group_by_setting(evaluations: Sequence[Evaluation], names: Sequence[str]) -> list[Setting]:
    """Evaluations of one name, number of training images and number of steps are seeds of one setting; names in the order they come in,
    the settings of one by images and steps."""
    groups: dict[tuple[str, int, int], list[Evaluation]] = defaultdict(list)
    for evaluation, name in zip(evaluations, names):
        groups[name, evaluation.n_images, evaluation.steps].append(evaluation)
    order = list(dict.fromkeys(names))
    keys = sorted(groups, key=lambda key: (order.index(key[0]), *key[1:]))
    return [Setting(*key, groups[key]) for key in keys]


def csv_rows(evaluations: Sequence[Evaluation], names: Sequence[str]) -> list[dict[str, Any]]:
    """For each checkpoint a row for each image, and one whose image is "mean"; every row says which checkpoint it is of."""
    rows = []
    for evaluation, name in zip(evaluations, names):
        config = evaluation.run.config
        head = {"run": evaluation.run.name, "method": config.method_name, "setting": name, "seed": config.machine.seed}
        head |= {"n_images": evaluation.n_images, "steps": evaluation.steps}
        tail = {**evaluation.facts, "checkpoint": evaluation.checkpoint}
        for image, metrics in [*evaluation.images.items(), ("mean", evaluation.mean())]:
            size = {"size": evaluation.sizes[image]} if image in evaluation.sizes else {}
            rows.append({**head, "image": image, **size, **metrics, **tail})
    return rows


def write_csv(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Writes the rows under the columns of them all; the file is whole at any time."""
    columns = list(dict.fromkeys(key for row in rows for key in row if key != "checkpoint"))
    update_csv(path, [*columns, "checkpoint"], rows)


def markdown(settings: Sequence[Setting], evaluations: Sequence[Evaluation], names: Sequence[str]) -> str:
    """A table of the settings' means with the standard deviation over seeds, and one of every image."""
    known = [column for column in COLUMNS if any(setting.values(column) for setting in settings)]
    means = [["setting", "n_images", "steps", "seeds", *known]]
    for s in settings:
        cells = [_spread(s.mean_and_std(column), COLUMNS[column], len(s.evaluations)) for column in known]
        means.append([s.name, str(s.n_images), str(s.steps), str(len(s.evaluations)), *cells])
    quality = [column for column in ("psnr", "ssim", "lpips") if column in known]
    images = [["setting", "n_images", "steps", "seed", "image", *quality]]
    for e, name in zip(evaluations, names):
        head = [name, str(e.n_images), str(e.steps), str(e.run.config.machine.seed)]
        for image, metrics in e.images.items():
            images.append([*head, image, *[format(metrics[q], COLUMNS[q]) if q in metrics else "-" for q in quality]])
    title = "Means over the held-out images, ± the standard deviation over seeds."
    parts = [title, markdown_table(means), *_by_size(evaluations, names, quality)]
    return "\n\n".join([*parts, "Each image.", markdown_table(images)]) + "\n"


def _by_size(evaluations: Sequence[Evaluation], names: Sequence[str], quality: Sequence[str]) -> list[str]:
    """Title and table of the means over the images of each size, the largest first; nothing where all have one size."""
    rows = [["setting", "n_images", "steps", "seed", "size", *quality]]
    for e, name in zip(evaluations, names):
        head = [name, str(e.n_images), str(e.steps), str(e.run.config.machine.seed)]
        for size in sorted(set(e.sizes.values()), key=_n_pixels, reverse=True):
            mean = e.mean(size)
            rows.append([*head, size, *[format(mean[q], COLUMNS[q]) if q in mean else "-" for q in quality]])
    has_sizes = any(len(set(e.sizes.values())) > 1 for e in evaluations)
    return ["Means over the held-out images of a size.", markdown_table(rows)] if has_sizes else []


def _n_pixels(size: str) -> int:
    width, height = map(int, size.split("x"))
    return width * height


def _spread(value: tuple[float, float] | None, form: str, n_seeds: int) -> str:
    if value is None:
        return "-"
    return format(value[0], form) + (f" ± {value[1]:{form}}" if n_seeds > 1 else "")
