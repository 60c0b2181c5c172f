"""`nerf-plugins sweep`: from a recipe to trained runs and a table of them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from nerf_plugins.errors import InputError
from nerf_plugins.files.writing import make_folder
from nerf_plugins.sweep.options import SweepOptions
from nerf_plugins.sweep.planned_runs import plan
from nerf_plugins.sweep.recipe import read_recipe
from nerf_plugins.sweep.training import Sweep
from nerf_plugins.sweep.workers import LocalWorkers, RayWorkers, Workers


def run(options: SweepOptions) -> int:
    """Trains, and prints the table's path.

    Returns:
        The exit code: 0 if every checkpoint is there.
    """
    path, is_complete = sweep(options)
    if not options.dry_run:
        print(path)
    return 0 if is_complete else 1


def sweep(options: SweepOptions, console: Console | None = None) -> tuple[Path, bool]:
    """Trains what a recipe asks for and is not there yet.

    What is finished is seen from the checkpoints, so a sweep that was stopped in any way goes on when it is called again.

    Args:
        options: the recipe and who trains.
        console: for progress; None: the standard output.

    Returns:
        The table's CSV file, with a row for each run and number of steps (columns run, method, n_images, seed, the grid's options, steps,
        state, seconds, load_config, checkpoint), and whether every checkpoint is there. A dry run writes nothing: the file may be missing,
        or of an earlier state.

    Raises:
        InputError: the recipe is not sound, its sweep is running already, or there are no such workers.
    """
    console = Console() if console is None else console
    if options.jobs < 1:
        raise InputError(f"--jobs {options.jobs}: give at least 1")
    recipe = read_recipe(options.recipe)
    try:
        runs = plan(recipe)
    except InputError as e:
        raise InputError(f"recipe {options.recipe}: {e}") from e
    state = Sweep(recipe, runs, console)
    if not options.dry_run:
        make_folder(state.folder, "output_dir or name in the recipe")
        with ExitStack() as stack:
            stack.enter_context(_only_one(state.folder))
            workers, threads = _workers(options)
            stack.callback(workers.close)
            state.train(workers, threads)
            state.write_csv()
    console.print(state.table())
    return state.csv, all(row["state"] == "done" for row in state.rows())


def _workers(options: SweepOptions) -> tuple[Workers, int | None]:
    """The workers, and the threads that each of their processes may use."""
    if options.workers == "local":
        shared = options.jobs > 1 and "OMP_NUM_THREADS" not in os.environ
        threads = max(1, (os.cpu_count() or 1) // options.jobs) if shared else None
        return LocalWorkers(options.jobs), threads
    gpus = options.gpus_per_run
    if gpus is None:
        import torch

        gpus = float(torch.cuda.is_available())
    return RayWorkers(options.ray_address, options.cpus_per_run, gpus), None


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two sweeps in one folder would train the same runs; the lock goes with the process."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise InputError(f"a sweep is running in {folder}: wait for it, or give the recipe another name") from e
        yield
