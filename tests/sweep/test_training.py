"""What the table of a sweep shows."""

from pathlib import Path

import pytest
import yaml
from rich.console import Console

from nerf_plugins.runs.folder import RunFolder
from nerf_plugins.sweep.planned_runs import plan
from nerf_plugins.sweep.recipe import read_recipe
from nerf_plugins.sweep.training import Sweep
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
