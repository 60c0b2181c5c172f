"""`nerf-plugins metrics`: many runs and checkpoints to one CSV file, one markdown file, plots and pictures."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nerfstudio.utils.rich_utils import CONSOLE
from rich.console import Console
from rich.markup import escape

from nerf_plugins.errors import InputError
from nerf_plugins.evaluation import plots
from nerf_plugins.evaluation.checkpoints import Evaluation, evaluate_run, picture_folders
from nerf_plugins.evaluation.options import MetricsOptions
from nerf_plugins.evaluation.settings import name_settings, settings_of
from nerf_plugins.evaluation.tables import csv_rows, group_by_setting, markdown, write_csv
from nerf_plugins.files.writing import check_free, make_folder, new_file
from nerf_plugins.runs.search import FoundRun, find_runs


def run(options: MetricsOptions) -> int:
    """Evaluates, and prints the files' paths.

    Returns:
        The exit code: 0 if every run could be evaluated.
    """
    warnings.simplefilter("ignore")  # of the methods' own code, once an image
    paths, failures = metrics(options)
    for path in paths:
        print(path)
    return 1 if failures else 0


def metrics(options: MetricsOptions, console: Console | None = None) -> tuple[list[Path], list[str]]:
    """Evaluates runs on their held-out images and writes what they reached.

    The means agree with `ns-eval`'s: each image counts the same. metrics.csv grows with each checkpoint that is done.

    Args:
        options: which runs, and what of them.
        console: for progress; None: the standard error output.

    Returns:
        The files metrics.csv, metrics.md and the plots, and a line for each run that could not be evaluated.

    Raises:
        InputError: an option or a run is at fault, or no run could be evaluated.
    """
    console = Console(stderr=True) if console is None else console
    if options.pictures < 0:
        raise InputError(f"--pictures {options.pictures}: give 0 or more")
    runs, left_out = find_runs(options.runs)
    for line in left_out:
        console.print(line, markup=False, soft_wrap=True)
    folder = options.output_dir or Path("outputs") / "metrics" / time.strftime("%Y-%m-%d_%H%M%S")
    for name in ("metrics.csv", "metrics.md", "pictures", *plots.FILES.values()):
        check_free(folder / name, "--output-dir")
    make_folder(folder, "--output-dir")
    names = name_settings([run.config.method_name for run in runs], [settings_of(run.config) for run in runs])
    with _quiet_nerfstudio():
        evaluations, failures = _evaluate(runs, names, options, folder, console)
    if not evaluations:
        raise InputError(f"no run could be evaluated: {failures[0]}")
    if not any("lpips" in evaluation.mean() for evaluation in evaluations):
        console.print("LPIPS is left out: its AlexNet weights are not there and cannot be loaded.")
    return _write(evaluations, dict(zip([run.load_config for run in runs], names)), folder), failures


@contextmanager
def _quiet_nerfstudio() -> Iterator[None]:
    """Its lines on every set-up would bury ours."""
    before, CONSOLE.quiet = CONSOLE.quiet, True
    try:
        yield
    finally:
        CONSOLE.quiet = before


def _evaluate(
    runs: list[FoundRun], names: list[str], options: MetricsOptions, folder: Path, console: Console
) -> tuple[list[Evaluation], list[str]]:
    evaluations: list[Evaluation] = []
    failures: list[str] = []
    chosen = {run.load_config: run.steps[-1:] if options.checkpoints == "last" else run.steps for run in runs}
    total, of_run = sum(map(len, chosen.values())), dict(zip(chosen, names))
    for run, pictures in zip(runs, picture_folders(runs)):
        steps = chosen[run.load_config]
        console.print(f"evaluating {escape(run.name)}, {len(steps)} of {total} checkpoints")
        try:
            for evaluation in evaluate_run(run, steps, options.pictures, folder / "pictures" / pictures):
                evaluations.append(evaluation)
                labels = [of_run[e.run.load_config] for e in evaluations]
                write_csv(csv_rows(evaluations, labels), folder / "metrics.csv")
                mean = evaluation.mean()
                scores = "  ".join(f"{k} {mean[k]:.4f}" for k in ("psnr", "ssim", "lpips") if k in mean)
                console.print(f"[{len(evaluations)}/{total}] after {evaluation.steps} steps: {scores}", markup=False)
        except (Exception, SystemExit) as e:  # one run at fault does not cost the others their evaluation
            reason = str(e).strip().splitlines()
            failures.append(f"{run.load_config}: {reason[0] if reason else type(e).__name__}")
            console.print(f"failed {failures[-1]}", markup=False, soft_wrap=True)
    return evaluations, failures


def _write(evaluations: list[Evaluation], names: dict[Path, str], folder: Path) -> list[Path]:
    labels = [names[evaluation.run.load_config] for evaluation in evaluations]
    settings = group_by_setting(evaluations, labels)
    table = folder / "metrics.md"
    with new_file(table, "--output-dir") as part:
        part.write_text(markdown(settings, evaluations, labels), encoding="utf-8")
    return [folder / "metrics.csv", table, *plots.plot_psnr(settings, folder)]
