"""Tables over runs: against nerfstudio's own evaluation, and by hand."""

import copy
import csv
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from nerfstudio.configs.method_configs import all_methods
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.utils.eval_utils import eval_setup
from PIL import Image

from nerf_plugins import cli
from nerf_plugins.errors import InputError
from nerf_plugins.evaluation.checkpoints import Evaluation, evaluate_checkpoint, picture_folders, write_comparison
from nerf_plugins.evaluation.plots import lines_over, plot_psnr
from nerf_plugins.evaluation.settings import name_settings, settings_of
from nerf_plugins.evaluation.tables import group_by_setting, markdown
from nerf_plugins.methods import neus_hash
from nerf_plugins.runs.config_options import with_option
from nerf_plugins.runs.search import FoundRun
from tests.sweep.test_command import command

BIN = Path(sys.executable).parent


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


def test_plots_are_not_overwritten(tmp_path: Path):
    settings = group_by_setting([evaluation([20.0 + n], 4, n, 1) for n in (1, 2)], ["m"] * 2)
    plot_psnr(settings, tmp_path)
    with pytest.raises(InputError, match=r"psnr_over_steps\.png exists and is not overwritten"):
        plot_psnr(settings, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


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


def config_of(**changes):
    config = neus_hash.method.config
    for name, value in changes.items():
        config = with_option(config, name.replace("__", "."), value)
    return config


def test_runs_that_differ_in_the_seed_have_one_setting():
    first = settings_of(config_of(machine__seed=1, timestamp="a", steps_per_save=5))
    assert first == settings_of(config_of(machine__seed=2, timestamp="b", pipeline__datamanager__subset__n_images=7))
    by_parser = settings_of(config_of(pipeline__datamanager__dataparser__data="a"))
    assert by_parser == settings_of(config_of(pipeline__datamanager__data="a")) != first
    other = settings_of(config_of(pipeline__model__eikonal_loss_mult=0.5))
    assert name_settings(["m", "m", "n"], [first, other, other]) == [
        "m eikonal_loss_mult=0.1",
        "m eikonal_loss_mult=0.5",
        "n",
    ]


def test_trainings_whose_schedules_end_elsewhere_are_no_seeds_of_one_setting():
    def end(**changes) -> str:
        return settings_of(config_of(**changes))["schedules_end"]

    assert (end(max_num_iterations=5000), end(max_num_iterations=10000)) == ("5000", "10000")
    own = neus_hash.method.config.get_base_dir() / "nerfstudio_models"
    resumed = {"load_checkpoint": own / "step-000003999.ckpt", "max_num_iterations": 1000}
    assert settings_of(config_of(**resumed)) == settings_of(config_of(max_num_iterations=5000))
    assert end(load_dir=own, load_step=3999, max_num_iterations=1000) == "5000"
    assert end(**resumed, restart_steps=True) == "1000"
    assert end(load_checkpoint="x/mine.ckpt", max_num_iterations=1000) == "1000"  # nothing says where it began
    fields, variance = (f"optimizers.{group}.scheduler.max_steps" for group in ("fields", "variance"))
    apart = settings_of(config_of(optimizers__variance__scheduler__max_steps=5000, max_num_iterations=1000))
    assert (apart[fields], apart[variance]) == ("1000", "5000")
    planned = {name.replace(".", "__"): 5000 for name in (fields, variance, fields.replace("fields", "camera_opt"))}
    assert end(**planned, max_num_iterations=1000) == "5000"  # as a sweep has it
    others = [copy.deepcopy(all_methods["nerfacto"]) for _ in range(2)]
    others[1].max_num_iterations = 7
    assert settings_of(others[0]) == settings_of(others[1])


def test_trainings_that_began_with_other_models_are_no_seeds_of_one_setting():
    first, same, other = (
        settings_of(config_of(load_dir=f"outputs/{run}/nerfstudio_models", restart_steps=True, machine__seed=seed))
        for run, seed in (("a", 1), ("a", 2), ("b", 1))
    )
    assert first == same != other
    one, two = (settings_of(config_of(load_checkpoint=f"outputs/{run}.ckpt", restart_steps=True)) for run in "ab")
    assert one != two


def test_options_of_one_name_are_told_apart():
    settings = [
        {"a.fields.lr": x, "b.fields.lr": "0", "b.variance.lr": y, "lr": x} for x, y in (("1", "1"), ("2", "2"))
    ]
    assert name_settings(["m", "m"], settings)[1] == "m fields.lr=2 variance.lr=2 lr=2"


def test_copies_of_one_split_file_are_one_setting(tmp_path: Path):
    def settings(name: str, text: str) -> dict[str, str]:
        (tmp_path / name).write_text(text)
        return settings_of(config_of(pipeline__datamanager__subset__split_file=str(tmp_path / name)))

    first = settings("a.json", '{"train": [1, 2]}')
    assert first == settings("b.json", '{"train": [1, 2]}')
    assert first != settings("c.json", '{"train": [1, 3]}')


def test_runs_of_one_name_have_pictures_of_their_own():
    places = ["x/e/m/t", "y/e/m/t", "x/e/m/u"]
    runs = [FoundRun(Path(place) / "config.yml", None, (1,)) for place in places]
    assert picture_folders(runs) == ["e_m_t-1", "e_m_t-2", "e_m_u"]


def evaluation(psnrs: list[float], images: int, steps: int, seed: int) -> Evaluation:
    run = SimpleNamespace(config=SimpleNamespace(machine=SimpleNamespace(seed=seed)))
    scores = {f"r_{i}": {"psnr": psnr} for i, psnr in enumerate(psnrs)}
    return Evaluation(run, steps, images, {"train_seconds": 10.0 * seed}, scores)  # type: ignore[arg-type]


def test_names_of_images_where_the_data_are_a_file(tmp_path: Path):
    data = tmp_path / "transforms.json"
    data.touch()
    camera = SimpleNamespace(height=2, width=2, rescale_output_resolution=lambda scale: None)
    manager = SimpleNamespace(
        config=SimpleNamespace(data=data, dataparser=SimpleNamespace(data=data)),
        train_dataset=[None],
        eval_dataset=SimpleNamespace(image_filenames=[tmp_path / "images/a.png"]),
        fixed_indices_eval_dataloader=[(camera, {"image_idx": 0})],
    )
    model = SimpleNamespace(
        get_outputs_for_camera=lambda camera: {},
        get_image_metrics_and_images=lambda outputs, batch: ({"psnr": 20.0}, {}),
    )
    pipeline = SimpleNamespace(datamanager=manager, model=model, train_seconds=1.0, eval=lambda: None)
    run: FoundRun = SimpleNamespace()  # type: ignore[assignment]
    assert list(evaluate_checkpoint(run, 1, pipeline, 0, tmp_path).images) == ["images/a.png"]


def test_the_spread_over_seeds_by_hand():
    evaluations = [evaluation([9.0], 8, 10, 1), evaluation([20.0, 22.0], 4, 10, 1), evaluation([24.0, 26.0], 4, 10, 2)]
    settings = group_by_setting(evaluations, ["m"] * 3)
    assert [(s.n_images, len(s.evaluations)) for s in settings] == [(4, 2), (8, 1)]
    assert settings[0].mean_and_std("psnr") == pytest.approx((23.0, 8.0**0.5))  # of 21 and 25
    assert settings[0].mean_and_std("train_seconds") == pytest.approx((15.0, 50.0**0.5))
    assert settings[1].mean_and_std("psnr") == (9.0, 0.0)
    assert settings[0].mean_and_std("lpips") is None
    assert lines_over("n_images", settings) == {"m": [(4, pytest.approx(23.0), pytest.approx(8.0**0.5)), (8, 9.0, 0.0)]}
    assert list(lines_over("steps", settings)) == ["m, 4 images", "m, 8 images"]
    text = markdown(settings, evaluations, ["m"] * 3)
    assert "| m | 4 | 10 | 2 | 23.00 ± 2.83 | 15.0 ± 7.1 |" in text
    assert "| m | 4 | 10 | 2 | r_1 | 26.00 |" in text


def test_long_names_do_not_cover_the_plot(tmp_path: Path):
    evaluations = [evaluation([20.0 + n], 4, n, 1) for n in (1, 2)]
    settings = group_by_setting(evaluations, ["method " + "option=value " * 30] * 2)
    (path,) = plot_psnr(settings, tmp_path)
    dark = np.asarray(Image.open(path).convert("L"))[:480, 120:] < 100
    assert (
        dark[:, -40:].sum() > 400
    )  # the frame's right side, which a legend in the plot would push out of the picture or cover
    assert dark[470].mean() < 0.2


def test_a_comparison_has_the_error_where_it_is(tmp_path: Path):
    truth = torch.full((8, 8, 3), 0.5)
    render = truth.clone()
    render[:, 4:] += 0.5
    images = {"img": torch.cat([truth, render], dim=1), "depth": torch.zeros(8, 8, 3)}
    write_comparison(tmp_path / "x.png", {"normals": torch.ones(8, 8, 3)}, images)
    picture = np.asarray(Image.open(tmp_path / "x.png").convert("RGB")).astype(int)
    assert picture.shape[1] == 5 * 12 - 4
    assert picture[4, 2].tolist() == picture[4, 14].tolist() == [128, 128, 128]
    assert picture[4, 12 + 6].tolist() == [255, 255, 255]
    error = picture[:8, 24:32]
    assert error[4, 1].sum() < 10
    assert error[4, 6].sum() > 500  # the colour map's last
    assert (picture[:8, 48:56] == 255).all()
