"""What the table of a sweep shows."""

from pathlib import Path

import pytest
import yaml
from rich.console import Console

from nerf_plugins.runs.folder import RunFolder
from nerf_plugins.sweep import training
from nerf_plugins.sweep.planned_runs import Run, plan
from nerf_plugins.sweep.recipe import read_recipe
from nerf_plugins.sweep.training import Sweep
from nerf_plugins.sweep.workers import Job
from tests.runs.test_folder import write_checkpoint


def test_the_table_looks_again_only_at_active_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = tmp_path / "x.yaml"
    values = {"methods": ["nerf-hash-custom"], "steps": [10], "seeds": [0, 1], "output_dir": str(tmp_path / "out")}
    recipe.write_text(yaml.safe_dump(values))
    runs = plan(read_recipe(recipe))
    sweep = Sweep(read_recipe(recipe), runs, Console(quiet=True))
    sweep.active = {runs[0].label}

    def states() -> list[str]:
        return list(sweep.table().columns[-2].cells)  # type: ignore[arg-type]

    assert states() == ["waiting", "missing"]
    read, reached = [], RunFolder.reached
    monkeypatch.setattr(RunFolder, "reached", lambda folder: read.append(folder) or reached(folder))
    write_checkpoint(runs[0].folder, 10)
    assert states() == ["done", "missing"]
    sweep.active.clear()
    assert states() == states() == ["done", "missing"]
    assert runs[1].folder not in read


class SavingWorkers:
    """In place of trainers: each writes a checkpoint on its way and one at its end, and deletes what its options let it."""

    def __init__(self, run: Run) -> None:
        self.run, self.done = run, {}

    def submit(self, job: Job) -> None:
        config = yaml.load(job.config.read_text(), Loader=yaml.Loader)
        begin = 0 if config.load_checkpoint is None else int(config.load_checkpoint.stem[5:]) + 1
        end, listed = begin + config.max_num_iterations, getattr(config, "save_at_steps", ())
        if config.save_only_latest_checkpoint:
            self.run.folder.remove_all_but(listed)
        for steps in {end - 7, end, *(n for n in listed if begin < n < end)}:
            write_checkpoint(self.run.folder, steps)
        self.done[job.key] = 0

    def ended(self) -> dict[str, int]:
        ended, self.done = self.done, {}
        return ended

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("method", "recipes", "kept"),
    [
        ("nerfacto", [[1000, 30000], [1000]], [1000, 30000]),
        ("nerfacto", [[1000, 30000], [2000]], [1000, 2000, 30000]),
        ("nerf-hash-custom", [[1000, 5000], [5000]], [1000, 5000]),
        ("nerf-hash-custom", [[1000, 5000], [3000, 5000]], [1000, 3000, 5000]),
    ],
)
def test_checkpoints_of_an_earlier_recipe_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method, recipes, kept):
    monkeypatch.setattr(training, "POLL_SECONDS", 0.0)
    for steps in recipes:
        values = {"methods": [method], "steps": steps, "seeds": [0], "output_dir": str(tmp_path / "out")}
        (tmp_path / "x.yaml").write_text(yaml.safe_dump(values))
        recipe = read_recipe(tmp_path / "x.yaml")
        (run,) = plan(recipe)
        Sweep(recipe, [run], Console(quiet=True)).train(SavingWorkers(run), None)
    assert run.folder.reached() == kept
