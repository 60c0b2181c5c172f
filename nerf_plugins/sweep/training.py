"""Trains the runs of a sweep and keeps a table of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table

from nerf_plugins.files.tables import update_csv
from nerf_plugins.sweep.planned_runs import Run
from nerf_plugins.sweep.recipe import SweepRecipe
from nerf_plugins.sweep.workers import Job, Workers

POLL_SECONDS = 0.5
REFRESH_SECONDS = 3.0
"""The live table reads the checkpoints and logs of all runs that are not finished."""


class Sweep:
    """The runs, and what became of those that were started here; what is finished is read from the disk."""

    def __init__(self, recipe: SweepRecipe, runs: Sequence[Run], console: Console) -> None:
        self.recipe, self.console = recipe, console
        self.runs = {run.label: run for run in runs}
        self.folder = recipe.output_dir / recipe.name
        self.failures: dict[str, str] = {}
        """What failed here, with the last line of its log."""
        self.active: set[str] = set()
        """Submitted and not ended."""
        self.n_missing: dict[str, int] = {}
        """Checkpoints that a run lacked when its process was started."""
        self.found: dict[str, list[int]] = {}
        """Of the runs that were started here, the checkpoints that were there before: those are not the sweep's to delete."""
        self._cells: dict[str, list[str]] = {}
        """The table's, of runs that are not active: nothing but this sweep changes them."""

    def train(self, workers: Workers, threads: int | None) -> None:
        """Trains what is missing; a run that fails stops no other."""
        for run in self.runs.values():
            self._submit(run, workers, threads)
        self.write_csv()
        with self._display() as show:
            shown = time.monotonic()
            while self.active:
                ended = workers.ended()
                for label, code in ended.items():
                    self.active.remove(label)
                    self._judge(self.runs[label], code)
                    if label not in self.failures:
                        self._submit(self.runs[label], workers, threads)  # its next leg, if there is one
                if ended:
                    self.write_csv()
                if ended or time.monotonic() - shown >= REFRESH_SECONDS:
                    show()
                    shown = time.monotonic()
                time.sleep(POLL_SECONDS)

    def _submit(self, run: Run, workers: Workers, threads: int | None) -> None:
        run.folder.remove_broken()
        config = run.next_config()
        if config is None:
            if run.label in self.found:  # else nothing was trained here
                run.folder.remove_all_but([*run.steps, *self.found[run.label]])
            return
        self.found.setdefault(run.label, run.folder.reached())
        path = run.folder.path / "sweep.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.dump(config), encoding="utf-8")
        self.active.add(run.label)
        self.n_missing[run.label] = len(run.folder.missing(run.steps))
        workers.submit(Job(run.label, str(config.method_name), path, run.folder.next_log(), threads))

    def _judge(self, run: Run, code: int) -> None:
        """A run whose process failed, or left no checkpoint that was missing, is not started again."""
        config = run.next_config()
        resumed = code == 0 and len(run.folder.missing(run.steps)) < self.n_missing[run.label]
        if code != 0 or (config is not None and not resumed):
            self.failures[run.label] = f"exit code {code}: {run.folder.last_line()}"
            self.console.print(
                f"failed {run.label}: {self.failures[run.label]} ({run.folder.path})", markup=False, soft_wrap=True
            )
        elif config is None:
            self.console.print(f"finished {run.label}", markup=False, soft_wrap=True)

    def state(self, run: Run, steps: int) -> str:
        """Of the checkpoint after so many steps: done, failed, training, waiting or missing."""
        if run.folder.checkpoint(steps).exists():
            return "done"
        if run.label in self.failures:
            return "failed"
        if run.label not in self.active:
            return "missing"
        return "training" if (run.folder.path / "config.yml").exists() and run.folder.logs() else "waiting"

    def rows(self) -> list[dict[str, Any]]:
        """A row for each run and number of steps; the columns are the same for all."""
        rows = []
        for run in self.runs.values():
            for steps in run.steps:
                seconds = run.folder.seconds(steps)
                row = {
                    "run": run.label,
                    "method": run.method,
                    "n_images": "all" if run.n_images is None else run.n_images,
                }
                row |= {"seed": run.seed, **run.choices, "steps": steps, "state": self.state(run, steps)}
                row |= {"seconds": "" if seconds is None else f"{seconds:.1f}"}
                row |= {"load_config": run.folder.path / "config.yml", "checkpoint": run.folder.checkpoint(steps)}
                rows.append(row)
        return rows

    @property
    def csv(self) -> Path:
        """The file of the rows, beside the runs."""
        return self.folder / "sweep.csv"

    def write_csv(self) -> None:
        """Writes the rows; the file is whole at any time."""
        rows = self.rows()
        update_csv(self.csv, list(rows[0]), rows)

    def table(self) -> Table:
        """The runs with how far they are."""
        options = list(self.recipe.grid)
        table = Table(title=f"sweep {self.recipe.name}")
        for name in ("method", "n_images", "seed", *(o.split(".")[-1] for o in options), "steps", "state", "seconds"):
            table.add_column(name, overflow="fold")
        for label, run in self.runs.items():
            cells = self._cells.pop(label, None)
            if cells is None or label in self.active:
                cells = self._row(run)
            if label not in self.active:
                self._cells[label] = cells
            table.add_row(*cells)
        return table

    def _row(self, run: Run) -> list[str]:
        """The table's row of a run."""
        last = run.steps[-1]
        state = self.state(run, last)
        step = last if state == "done" else min(run.folder.last_step(), last)
        seconds = next((s for s in map(run.folder.seconds, reversed(run.steps)) if s is not None), None)
        cells = [run.method, "all" if run.n_images is None else run.n_images, run.seed]
        cells += [run.choices[o] for o in self.recipe.grid]
        return [*map(str, cells), f"{step}/{last}", state, "" if seconds is None else f"{seconds:.0f}"]

    @contextmanager
    def _display(self) -> Iterator[Any]:
        """A live table on a terminal; elsewhere only the lines on what ended."""
        if not self.console.is_terminal:
            yield lambda: None
            return
        with Live(self.table(), console=self.console, auto_refresh=False) as live:
            yield lambda: live.update(self.table(), refresh=True)
