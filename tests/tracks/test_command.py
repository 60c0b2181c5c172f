"""`nerf-plugins tracks` on runs of a few steps, and on one whose motion is known."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from nerf_plugins import cli
from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.methods import dnerf_hash, tnerf_hash
from nerf_plugins.tracks import command

AXIS = torch.tensor([0.0, 0.0, 1.0])


def write_run(place: Path, method, name: str) -> Path:
    """The config.yml of an untrained run of the moving demo scene, with a checkpoint that is dense in about half of the scene's box."""
    config = copy.deepcopy(method.config)
    config.output_dir, config.experiment_name, config.timestamp = place, name, "t"
    config.pipeline.datamanager.dataparser = DemoDataParserConfig(
        data=place / "demo", scene="moving", resolution=16, num_train=4, num_val=1, num_test=1
    )
    config.pipeline.model.occupancy.grid.resolution = 8
    table = HashEncodingConfig(n_levels=2, log2_table_size=8)
    if hasattr(config.pipeline.model.field, "canonical"):
        config.pipeline.model.field.canonical.encoding = table
    else:
        config.pipeline.model.field.encoding = table
    config.save_config()
    torch.manual_seed(0)
    pipeline = config.pipeline.setup(device="cpu", test_mode="inference")
    field = getattr(pipeline.model.field, "canonical", pipeline.model.field)
    torch.nn.init.normal_(field.encoding.table)
    torch.nn.init.normal_(field.density_head.weight)
    with torch.no_grad():  # the surface lies where the density is the median
        densities = -pipeline.model.implicit_surface().value(torch.rand(500, 3) - 0.5)
        field.density_head.bias += torch.log(pipeline.model.config.surface_density / densities.median())
    config.get_checkpoint_dir().mkdir(parents=True)
    torch.save({"pipeline": pipeline.state_dict(), "step": 0}, config.get_checkpoint_dir() / "step-000000000.ckpt")
    return config.get_base_dir() / "config.yml"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracks")


@pytest.fixture(scope="module")
def load_config(workspace: Path) -> Path:
    return write_run(workspace, dnerf_hash.method, "warped")


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["tracks", *map(str, arguments)])
    return stopped.value.code


def pushed(time: float):
    """The warp of a scene that is pushed along an axis by 0.2 in all."""
    return lambda positions: positions - 0.2 * time * AXIS


@pytest.mark.usefixtures("without_type_checker")  # nerfstudio declares a device's name and hands a torch.device over
def test_known_motion_is_found_in_world_units(monkeypatch, capsys, tmp_path: Path, load_config: Path):
    monkeypatch.setattr(command, "load_pipeline", with_warp(pushed, command.load_pipeline))
    times, start = np.array([0.0, 0.5, 1.0]), np.random.default_rng(0).uniform(-0.3, 0.3, (50, 3))
    truth = start + 0.2 * times[:, None, None] * AXIS.numpy()
    truth[2, :10] += 1.0  # the file says that a fifth of the points are elsewhere at the end
    np.savez(tmp_path / "truth.npz", times=times, points=truth)
    options = ["--load-config", load_config, "--truth", tmp_path / "truth.npz", "--output-dir", tmp_path / "out"]
    assert run(*options, "--resolution", 24) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "within 5%: 90.0%" in said
    with np.load(tmp_path / "out" / "tracks.npz") as content:
        np.testing.assert_allclose(content["points"][:, 10:], truth[:, 10:], atol=1e-5)
        assert content["points"].shape == truth.shape
        assert content["residuals"].max() < 1e-5
        assert content["error_near"] == pytest.approx(0.9)
    cloud = trimesh.load(tmp_path / "out" / "tracks_001.ply")
    np.testing.assert_allclose(cloud.vertices[10:], truth[1, 10:], atol=1e-5)


def with_warp(warp_at, load):
    """Pipelines as they are loaded, but with a warp that is known."""

    def loaded(*arguments, **options):
        config, pipeline = load(*arguments, **options)
        pipeline.model.warp_at = warp_at
        return config, pipeline

    return loaded


@pytest.mark.usefixtures("without_type_checker")
def test_points_of_the_surface_in_its_colours(capsys, tmp_path: Path, load_config: Path):
    options = ["--load-config", load_config, "--output-dir", tmp_path, "--points", 30, "--times", 2, "--resolution", 12]
    assert run(*options, "--npz-only") == 0, capsys.readouterr().err
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "tracks.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["tracks.npz"]
    with np.load(tmp_path / "tracks.npz") as content:
        assert content["points"].shape == (2, 30, 3)
        assert content["colors"].shape == (30, 3)
        # An untrained warp is the identity: nothing moves.
        assert np.abs(content["points"][0] - content["points"][1]).max() < 1e-2
    assert run(*options) == 1
    assert "exists and is not overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [("--start 1.5", "start 1.5"), ("--times 1", "times 1"), ("--points 0", "points 0"), ("--truth no.npz", "no.npz")],
)
def test_bad_options_are_one_line(capsys, load_config: Path, options: str, message: str):
    assert run("--load-config", load_config, *options.split()) == 1
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


@pytest.mark.usefixtures("without_type_checker")
def test_a_field_without_a_warp_is_named(capsys, workspace: Path):
    baseline = write_run(workspace, tnerf_hash.method, "baseline")
    assert run("--load-config", baseline, "--resolution", 8) == 1
    assert "TimedHash does not say where things go" in capsys.readouterr().err
