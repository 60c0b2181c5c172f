"""The benchmark scripts run: their output is looked at, their times are not."""

import csv
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerf_plugins.sweep.planned_runs import method_config

SCRIPTS = Path(__file__).parent.parent / "scripts"
CONFIGS = SCRIPTS.parent / "configs"


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def table_rows(output: str) -> dict[str, list[str]]:
    """First cell -> the others, of the markdown table that is printed."""
    cells = ([cell.strip() for cell in line.split("|")[1:-1]] for line in output.splitlines())
    return {row[0]: row[1:] for row in cells if row}


def test_bench_march():
    output = run("bench_march.py", "--rays=1000", "--resolution=32", "--step-size=0.05", "--repeats=2")
    assert "ours (Warp)" in output
    assert "composite + backward" in output


def test_bench_encoding():
    output = run("bench_encoding.py", "--positions=512", "--log2-table-size=8", "--repeats=1")
    rows = table_rows(output)
    assert {"ours, fp32", "ours, fp16 table", "ours, bf16 table", "nerfstudio, torch"} <= set(rows)
    assert [cell.split()[1] for cell in rows["ours, fp32"]] == ["(1.00)"] * 4
    assert "nan" not in "".join(rows["ours, bf16 table"])


def test_bench_layers():
    rows = table_rows(run("bench_layers.py", "--rows=64", "--repeats=1"))
    assert [cell.split()[1] for cell in rows["ours, torch"]] == ["(1.00)"] * 2
    assert len(rows["Warp tiles, fp32"]) == 2  # the script compares what they compute


def test_bench_busy():
    short = ("--seconds=0.3", "--settle=0.1", "--resolution=16")
    alone, beside, share = table_rows(run("bench_busy.py", "tnerf-hash-custom", "--busy=1", *short))[
        "`tnerf-hash-custom`"
    ]
    before, after = map(float, alone.split(", "))
    assert float(share) == pytest.approx(2 * float(beside) / (before + after), abs=0.05)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_bench_scaling_measures_what_grows(cache: Path):
    folder = cache / "scaling"
    output = run("bench_scaling.py", "--smoke", "--output-dir", str(folder), "--methods", "nerf-hash-custom")
    assert {path.name for path in folder.iterdir()} == {"scaling.csv", "scaling.md", "scaling.png"}
    with (folder / "scaling.csv").open() as file:
        rows = list(csv.DictReader(file))
    for panel, x in {"rays": (64, 128), "samples": (4096, 8192), "images": (8, 16), "grids": (8, 16)}.items():
        of_panel = [row for row in rows if row["panel"] == panel]
        assert {int(row["x"]) for row in of_panel} == set(x)
        assert all(float(row["ms"]) > 0 for row in of_panel)
        assert f"{x[0]} to {x[1]}, 2 times: " in output
    # A batch has about the samples that it is to have, however many its rays.
    for row in rows:
        if row["panel"] in ("rays", "samples"):
            wanted = 8192 if row["panel"] == "rays" else int(row["x"])
            assert 0.3 * wanted < int(row["samples"]) < 3 * wanted


def test_bench_scaling_refuses_what_marches_no_grid(cache: Path):
    command = [sys.executable, str(SCRIPTS / "bench_scaling.py"), "--smoke", "--methods", "vanilla-nerf"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode != 0
    assert "--methods vanilla-nerf: it marches no occupancy grid" in result.stderr
    assert "Traceback" not in result.stderr


def test_bench_train_reports_each_method_and_goes_on_where_one_fails(cache: Path):
    folder = cache / "results"
    methods = ["nerf-hash-custom+model.occupancy.grid.resolution=16", "no-such-method"]
    output = run("bench_train.py", "--smoke", "--output-dir", str(folder), "--methods", *methods)
    assert "no-such-method did not run: unknown method no-such-method" in output
    with (folder / "results.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["method"] == methods[0]
    assert float(row["rays_per_s"]) > 0
    assert float(row["samples_per_s"]) > float(row["rays_per_s"])
    # A second may not be enough to learn anything: but what is reported is that of the picture.
    truth, rendered = np.split(np.asarray(Image.open(folder / f"{methods[0]}.png")) / 255.0, 2, axis=1)
    assert float(row["psnr"]) == pytest.approx(-10.0 * np.log10(np.mean((truth - rendered) ** 2)), abs=0.1)
    assert truth.std() > 0.1
    assert {path.name for path in folder.iterdir()} == {"results.csv", "results.md", "psnr.png", f"{methods[0]}.png"}


@pytest.mark.parametrize("recipe", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_name_known_options_and_methods(recipe: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    bench_train = importlib.import_module("bench_train")
    options = bench_train.read_recipe(recipe)
    for method in options.methods:
        method_config(options, method)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        # NeuS's, not NeRF's.
        ("model.sampler=surface", "option pipeline.model.sampler is 'surface': give a value of type Literal"),
        ("model.near_plane=2000", "near_plane must be >= 0 and below far_plane"),
        ("model.occupancy.marchr=warp", "unknown option pipeline.model.occupancy.marchr"),
    ],
)
def test_a_wrong_option_of_a_method_is_one_line(option: str, message: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    bench_train = importlib.import_module("bench_train")
    options = bench_train.parse_options(["--smoke"])
    failure = bench_train.train_method(options, f"nerf-hash-custom+{option}").failure
    assert failure.startswith(message)
    assert "\n" not in failure


def test_a_recipe_has_the_options_of_all_methods_and_the_command_line_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    bench_train = importlib.import_module("bench_train")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "methods: [nerf-hash-custom+model.near_plane=1e-3]\nseconds: 7\ncheckpoints: 3\neval_images: 0\n"
        "options: {pipeline.model.occupancy.grid.resolution: 16}\n"
    )
    options = bench_train.parse_options([f"--recipe={recipe}", "--dataparser", "demo-data", "--eval-images", "2"])
    assert (options.seconds, options.checkpoints, options.eval_images) == (7.0, (3.0,), 2)
    model = method_config(options, options.methods[0]).pipeline.model
    assert (model.near_plane, model.occupancy.grid.resolution) == (1e-3, 16)


def test_an_unknown_option_in_a_recipe_is_one_line(tmp_path: Path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("methods: [nerf-hash-custom]\nsecnds: 3")
    command = [sys.executable, str(SCRIPTS / "bench_train.py"), "--recipe", str(recipe)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode != 0
    assert f"recipe {recipe}: unknown key 'secnds': did you mean seconds" in result.stderr
    assert "Traceback" not in result.stderr
