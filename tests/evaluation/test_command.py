"""Tables over runs: against nerfstudio's own evaluation."""

import csv
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.utils.eval_utils import eval_setup
from PIL import Image

from nerf_plugins import cli
from nerf_plugins.runs.config_options import with_option
from tests.sweep.test_command import command


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """Two seeds of two numbers of images, each with two checkpoints, and a run that has none."""
    folder = tmp_path_factory.mktemp("metrics")
    arguments = command(folder, "--jobs", "2", n_images=[2, 4], seeds=[0, 1], steps=[10, 40])
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stdout + result.stderr
    begun = folder / "out/tiny/nerf-hash-custom/begun"
    begun.mkdir()
    config = yaml.load(next(folder.rglob("config.yml")).read_text(), Loader=yaml.Loader)
    config.timestamp = "begun"
    (begun / "config.yml").write_text(yaml.dump(config))
    return folder / "out"


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(["metrics", *map(str, arguments)])
    return int(end.value.code or 0)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def table(sweep: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tables") / "out"
    assert call(sweep, "--output-dir", folder, "--pictures", 1) == 0
    return folder


def test_the_means_are_those_of_nerfstudio(table: Path):
    means = [row for row in read(table / "metrics.csv") if row["image"] == "mean"]
    assert [(r["n_images"], r["seed"], r["steps"]) for r in means] == [
        (n, seed, steps) for n in "24" for seed in "01" for steps in ("10", "40")
    ]
    for row in (means[0], means[5]):  # an earlier checkpoint and a last one
        checkpoint = Path(row["checkpoint"])

        def at(config: TrainerConfig, steps: int = int(row["steps"])) -> TrainerConfig:
            config.load_step = steps - 1
            return config

        _, pipeline, loaded, _ = eval_setup(checkpoint.parents[1] / "config.yml", update_config_callback=at)
        assert loaded == checkpoint
        wanted = pipeline.get_average_eval_image_metrics()
        assert float(row["psnr"]) == pytest.approx(wanted["psnr"], abs=1e-4)
        assert float(row["ssim"]) == pytest.approx(wanted["ssim"], abs=1e-4)
    assert means[0]["psnr"] != means[1]["psnr"] != means[5]["psnr"]


def test_each_row_says_what_it_is_of(table: Path):
    rows = read(table / "metrics.csv")
    assert [row["image"].split("/", 1)[-1] for row in rows[:2]] == ["test/r_0.png", "mean"]
    for row in rows:
        assert row["run"].startswith("tiny/nerf-hash-custom/n_images=")
        assert row["setting"] == "nerf-hash-custom"
        assert 0.0 <= float(row["occupied_fraction"]) <= 1.0
        assert float(row["rays_per_s"]) == pytest.approx(16 * 16 * float(row["fps"]))
        assert float(row["train_peak_mib"]) > 100.0
    means = [row for row in rows if row["image"] == "mean"]
    assert 0.0 < float(means[0]["train_seconds"]) < float(means[1]["train_seconds"])


def test_the_files(table: Path):
    names = {path.name for path in table.iterdir()}
    assert names == {"metrics.csv", "metrics.md", "pictures", "psnr_over_steps.png", "psnr_over_n_images.png"}
    text = (table / "metrics.md").read_text()
    assert text.count("| nerf-hash-custom | 4 | 40 | 2 |") == 1
    assert " ± " in text
    pictures = list(table.glob("pictures/*/steps-*/*.png"))
    assert len(pictures) == 8
    assert Image.open(pictures[0]).width == 4 * (16 + 4) - 4  # truth, render, error, depth


def test_a_run_without_a_checkpoint_is_said_and_left_out(sweep: Path, tmp_path: Path, capsys):
    assert call(sweep, "--output-dir", tmp_path / "out", "--pictures", 0, "--checkpoints", "last") == 0
    assert f"left out {sweep}/tiny/nerf-hash-custom/begun: it has no checkpoint yet" in capsys.readouterr().err
    assert {row["steps"] for row in read(tmp_path / "out/metrics.csv")} == {"40"}


def test_a_run_at_fault_does_not_cost_the_others(sweep: Path, tmp_path: Path, capsys):
    good, other = sorted((sweep / "tiny/nerf-hash-custom").glob("n_images=2-*"))
    bad = sweep / "tiny/nerf-hash-custom/bad"
    config = yaml.load((other / "config.yml").read_text(), Loader=yaml.Loader)
    config = with_option(config, "pipeline.model.field.encoding.log2_table_size", 11)
    config.timestamp = "bad"
    (bad / "nerfstudio_models").mkdir(parents=True)
    (bad / "config.yml").write_text(yaml.dump(config))
    name = "nerfstudio_models/step-000000039.ckpt"
    (bad / name).write_bytes((other / name).read_bytes())
    assert call(bad, good, "--output-dir", tmp_path / "out", "--pictures", 0, "--checkpoints", "last") == 1
    assert "failed" in (err := capsys.readouterr().err)
    assert "has shape" in err
    assert {row["run"] for row in read(tmp_path / "out/metrics.csv")} == {f"tiny/nerf-hash-custom/{good.name}"}


def test_a_truncated_checkpoint_costs_only_its_own_rows(sweep: Path, tmp_path: Path, capsys):
    good, other = sorted((sweep / "tiny/nerf-hash-custom").glob("n_images=2-*"))
    copied, broken = tmp_path / "copied", tmp_path / "copied/nerfstudio_models/step-000000039.ckpt"
    shutil.copytree(other, copied)
    broken.write_bytes(broken.read_bytes()[:-1000])
    assert call(copied, good, "--output-dir", tmp_path / "out", "--pictures", 0) == 0
    assert f"left out {broken}: it is truncated" in capsys.readouterr().err
    means = [(r["run"].split("/")[-1], r["steps"]) for r in read(tmp_path / "out/metrics.csv") if r["image"] == "mean"]
    assert means == [("copied", "10"), (good.name, "10"), (good.name, "40")]
    (copied / "nerfstudio_models/step-000000009.ckpt").write_bytes(b"half of")
    assert call(copied) == 1
    assert "truncated: delete them" in capsys.readouterr().err


def test_a_copied_run_is_evaluated_where_it_lies(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = next((sweep / "tiny/nerf-hash-custom").glob("n_images=2-seed0-*"))
    other = next((sweep / "tiny/nerf-hash-custom").glob("n_images=2-seed1-*"))
    copied = tmp_path / "sp äce"
    (copied / "nerfstudio_models").mkdir(parents=True)
    name = "nerfstudio_models/step-000000009.ckpt"
    shutil.copy(run / "config.yml", copied)
    shutil.copy(other / name, copied / name)  # other weights than those where the run was trained
    monkeypatch.chdir(tmp_path)
    assert call(copied, other, "--output-dir", "out", "--pictures", 0) == 0
    means = [row for row in read(tmp_path / "out/metrics.csv") if row["image"] == "mean"]
    assert [(row["setting"], row["steps"]) for row in means] == [("nerf-hash-custom", n) for n in ("10", "10", "40")]
    assert [row["psnr"] for row in means[:1]] == [row["psnr"] for row in means[1:2]]
    assert Path(means[0]["checkpoint"]) == copied / name


def test_what_is_wrong_is_one_line(sweep: Path, table: Path, tmp_path: Path, capsys):
    begun, run = sweep / "tiny/nerf-hash-custom/begun", next((sweep / "tiny/nerf-hash-custom").glob("n_images=2-*"))
    (tmp_path / "bad.yml").write_text("a: 1")
    plotted = tmp_path / "plotted"
    plotted.mkdir()
    (plotted / "psnr_over_steps.png").write_bytes(b"mine")
    for arguments, words in [
        ([tmp_path / "none"], "none does not exist"),
        ([tmp_path / "empty"], "holds no config.yml"),
        ([begun], "has no checkpoint"),
        ([begun / "config.yml"], "has no checkpoint"),
        ([tmp_path / "bad.yml"], "no method that is installed"),
        ([run, "--pictures", -1], "--pictures -1"),
        ([run, "--output-dir", table], "exists and is not overwritten"),
        ([run, "--output-dir", plotted], "psnr_over_steps.png exists and is not overwritten"),
        ([run, "--output-dir", tmp_path / "bad.yml"], "cannot be written to"),
        ([run, "--output-dir", tmp_path / "bad.yml/out"], "cannot be written to"),
        ([], "no run is given"),
    ]:
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert call(*arguments) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert words in lines[0]
