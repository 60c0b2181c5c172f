"""`nerf-plugins camera-path` on an untrained run of the demo scene, and nerfstudio's renderer on what it writes."""

import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from nerfstudio.cameras.camera_paths import get_path_from_json

from nerf_plugins import cli
from nerf_plugins.camera_paths.options import SHAPES
from nerf_plugins.camera_paths.training_views import read_views
from nerf_plugins.data.subset import SubsetConfig
from nerf_plugins.dataparsers.demo import TARGET, DemoDataParserConfig
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.methods import vanilla_nerf
from nerf_plugins.runs.loading import read_config
from tests.camera_paths.rigs import assert_looks_at

FLOAT32 = 1e-5
"""How exact a point is that was found from a dataset's cameras."""
FOV = np.degrees(0.6911112070083618)


def write_config(place: Path, name: str, scene: str = "demo", **subset) -> Path:
    """The config.yml of a run on eight training images of 20 pixels, without a checkpoint."""
    config = deepcopy(vanilla_nerf.method.config)
    config.output_dir, config.experiment_name, config.timestamp = place, "e", name
    data = DemoDataParserConfig(data=place / scene, scene=scene, resolution=20, num_train=8, num_val=1, num_test=3)
    config.pipeline.datamanager.dataparser = data
    config.pipeline.datamanager.subset = SubsetConfig(**subset)
    config.pipeline.model.field = NeRFMLPConfig(D=2, W=32, skips=())
    config.pipeline.model.occupancy.grid.resolution = 8
    config.get_base_dir().mkdir(parents=True)
    (config.get_base_dir() / "config.yml").write_text(yaml.dump(config))
    return config.get_base_dir() / "config.yml"


def write_checkpoint(load_config: Path) -> None:
    """A model that is dense everywhere in the scene's box, and so has its faces for a surface."""
    config = yaml.load(load_config.read_text(), Loader=yaml.Loader)
    pipeline = config.pipeline.setup(device="cpu", test_mode="inference")
    with torch.no_grad():
        pipeline.model.field.density_head.bias.fill_(50.0)
    config.get_checkpoint_dir().mkdir(parents=True)
    torch.save({"pipeline": pipeline.state_dict(), "step": 0}, config.get_checkpoint_dir() / "step-000000000.ckpt")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("camera_path")


@pytest.fixture(scope="module")
def load_config(workspace):
    return write_config(workspace, "whole")


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["camera-path", *map(str, arguments)])
    return stopped.value.code


def make(capsys, tmp_path, shape, load_config, *options):
    """The file that the command writes."""
    path = tmp_path / "path.json"
    assert run(shape, "--load-config", load_config, "--output-path", path, *options) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    return json.loads(path.read_text())


def poses_of(content):
    return np.array([view["camera_to_world"] for view in content["camera_path"]]).reshape(-1, 4, 4)


def test_the_default_orbit(capsys, tmp_path, load_config):
    content = make(capsys, tmp_path, "orbit", load_config, "--frames", 6)
    poses = poses_of(content)
    assert_looks_at(poses, np.array(TARGET), 3.3, FLOAT32)
    assert (content["render_width"], content["render_height"], content["fps"], content["is_cycle"]) == (
        20,
        20,
        24.0,
        True,
    )
    assert get_path_from_json(content).size == 6
    assert content["camera_path"][0]["fov"] == pytest.approx(FOV, rel=1e-4)
    nearest = content["camera_path"][0]["novelty"]["nearest"]
    assert len(nearest) == 3
    assert all(n["image"].endswith(".png") for n in nearest)


def test_novelty_is_printed_with_its_scale(capsys, load_config, tmp_path):
    options = ["--load-config", load_config, "--output-path", tmp_path / "o.json", "--distance", 6.6, "--elevation", 0]
    assert run("orbit", *options) == 0
    out = capsys.readouterr().out
    content = json.loads((tmp_path / "o.json").read_text())
    distances = [view["novelty"]["distance"] for view in content["camera_path"]]
    largest = next(line for line in out.splitlines() if "largest" in line)
    assert f"{max(distances):.3g}" in largest
    assert "training cameras among themselves" in out
    assert f"Newest: view {int(np.argmax(distances))} by distance" in out


@pytest.mark.parametrize("shape", [shape.shape for shape in SHAPES])
def test_every_shape_beside_its_run(capsys, shape, load_config):
    assert run(shape, "--load-config", load_config, "--height", 31, "--width", 61) == 0, capsys.readouterr().err
    content = json.loads((load_config.parent / "camera_paths" / f"{shape}.json").read_text())
    assert (content["render_width"], content["render_height"]) == (60, 32)
    novelty = [view["novelty"] for view in content["camera_path"]]
    assert len(novelty) == (71 if shape == "interpolate" else 120)
    assert np.isfinite([n["distance"] + n["angle"] for n in novelty]).all()


def test_a_cone_of_radii_around_a_given_point(capsys, tmp_path, load_config):
    options = ["--point", 0.1, -0.2, 0.3, "--axis", 0, 0, 2, "--radii", 0.5, 1.0, "--distances", 2, 4]
    content = make(capsys, tmp_path, "cone", load_config, *options, "--frames", 8, "--fov", 70)
    poses, point = poses_of(content), np.array([0.1, -0.2, 0.3])
    assert_looks_at(poses, point, [2.0] * 4 + [4.0] * 4)
    np.testing.assert_allclose(np.linalg.norm(poses[:, :2, 3] - point[:2], axis=1), [0.5] * 4 + [1.0] * 4)
    assert (poses[:, 2, 3] > point[2]).all()
    assert {view["fov"] for view in content["camera_path"]} == {70.0}


def test_one_angle_at_several_distances(capsys, tmp_path, load_config):
    poses = poses_of(make(capsys, tmp_path, "cone", load_config, "--angles", 10, "--distances", 1, 2, "--frames", 4))
    assert_looks_at(poses, np.array(TARGET), [1, 1, 2, 2], FLOAT32)


def test_a_spiral_of_given_angles(capsys, tmp_path, load_config):
    options = ["--point", 0, 0, 0, "--axis", 1, 0, 0, "--angles", 0, 90, "--turns", 1, "--distances", 1, 2]
    poses = poses_of(make(capsys, tmp_path, "spiral", load_config, *options, "--frames", 3))
    half = 1.5 * np.sqrt(0.5)
    np.testing.assert_allclose(poses[:, :3, 3], [[1, 0, 0], [half, 0, -half], [0, 0, 2]], atol=1e-12)


def test_a_dolly_starts_at_an_image(capsys, tmp_path, load_config):
    training = read_views(read_config(load_config), "train")
    poses = poses_of(make(capsys, tmp_path, "dolly", load_config, "--start-image", "train/r_5", "--frames", 3))
    np.testing.assert_allclose(poses[0], training.poses[5], atol=1e-5)
    assert_looks_at(poses, np.array(TARGET), [3.3, 2.475, 1.65], FLOAT32)


@pytest.mark.parametrize("split", ["train", "test"])
def test_interpolation_goes_through_the_dataset(capsys, tmp_path, load_config, split):
    views = read_views(read_config(load_config), split)
    content = make(capsys, tmp_path, "interpolate", load_config, "--split", split, "--steps", 4)
    np.testing.assert_allclose(poses_of(content)[::4], views.poses, atol=1e-6)
    on_them = [view["novelty"]["distance"] for view in content["camera_path"][::4]]
    if split == "train":
        assert max(on_them) == pytest.approx(0.0, abs=1e-9)
        assert [v["novelty"]["nearest"][0]["image"] for v in content["camera_path"][::4]] == views.names
    else:
        assert min(on_them) > 0.1


def test_a_camera_that_stands_still_while_time_goes_on_and_the_other_way_round(capsys, tmp_path, workspace):
    config = write_config(workspace, "moving", "moving")
    standing = make(capsys, tmp_path, "orbit", config, "--arc", 0, "--frames", 3, "--time", 0.2, 1)
    assert [view["render_time"] for view in standing["camera_path"]] == pytest.approx([0.2, 0.6, 1.0])
    poses = poses_of(standing)
    np.testing.assert_array_equal(poses, poses[:1].repeat(3, axis=0))
    (tmp_path / "path.json").unlink()
    frozen = make(capsys, tmp_path, "orbit", config, "--frames", 3)
    assert [view["render_time"] for view in frozen["camera_path"]] == [0.0] * 3


def test_interpolation_of_some_images(capsys, tmp_path, load_config):
    views = read_views(read_config(load_config), "train")
    content = make(capsys, tmp_path, "interpolate", load_config, "--images", "r_6", 2, "--steps", 1, "--closed")
    np.testing.assert_allclose(poses_of(content), views.poses[[6, 2]], atol=1e-6)
    assert content["is_cycle"]


def test_the_training_cameras_are_those_of_the_runs_subset(capsys, tmp_path, workspace):
    config = write_config(workspace, "three", n_images=3)
    content = make(capsys, tmp_path, "interpolate", config, "--steps", 1)
    assert len(content["camera_path"]) == 3
    names = {n["image"] for view in content["camera_path"] for n in view["novelty"]["nearest"]}
    assert {Path(name).stem for name in names} == {"r_0", "r_4", "r_7"}


@pytest.mark.usefixtures("without_type_checker")  # nerfstudio declares a device's name and hands a torch.device over
def test_the_surface_of_the_model(capsys, tmp_path, workspace):
    config = write_config(workspace, "dense")
    assert run("orbit", "--load-config", config, "--point", "surface") == 1
    assert "no checkpoint" in capsys.readouterr().err
    write_checkpoint(config)
    path = tmp_path / "surface.json"
    assert run("orbit", "--load-config", config, "--point", "surface", "--output-path", path, "--frames", 2) == 0
    poses = poses_of(json.loads(path.read_text()))
    a, b = poses[:, :3, 3]
    u, v = -poses[:, :3, 2]
    t = np.linalg.lstsq(np.stack([u, -v], axis=1), b - a, rcond=None)[0]
    point = a + t[0] * u
    assert (np.abs(point) <= 1.0 + 1e-3).all()  # the box of the scene is filled: the surface is its faces
    assert np.abs(point).max() > 0.8


def one_line(capsys, *arguments) -> str:
    assert run(*arguments) == 1
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    return error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("orbit --frames 0", "frames 0"),
        ("orbit --distance 0", "distance 0"),
        ("orbit --distance nan", "distance nan"),
        ("orbit --elevation 91", "elevation 91"),
        ("orbit --up 0 0 0", "up 0 0 0"),
        ("orbit --point nan 0 0", "point nan"),
        ("orbit --fps 0", "fps 0"),
        ("orbit --height 1", "height 1"),
        ("orbit --fov 180", "fov 180"),
        ("orbit --nearest 0", "nearest 0"),
        ("orbit --time 0 1.5", "time 1.5"),
        ("orbit --time nan 1", "time nan"),
        ("orbit --time 0 1", "time 0 1: the run's dataset has no times"),
        ("spiral --distances 1 -1", "distances -1"),
        ("spiral --angles 0 200", "angles 200"),
        ("cone --angles 10 20 --radii 1 2", "not both"),
        ("cone --angles 10 20 --distances 1 2 3", "2 circles but 3 distances"),
        ("cone --angles 10 20 --frames 1", "each of the 2 circles"),
        ("cone --radii 2 --distances 1", "radius of 2 is larger"),
        ("dolly --direction 0 0 0", "direction 0 0 0"),
        ("dolly --start-image r_99", "no image of the dataset is called 'r_99'"),
        ("interpolate --steps 0", "steps 0"),
        ("interpolate --images r_1", "1 image to go through"),
        ("interpolate --images r_1 nobody", "no image of the dataset is called 'nobody'"),
    ],
)
def test_options_that_make_no_path(capsys, tmp_path, load_config, arguments, message):
    shape, *options = arguments.split()
    output = tmp_path / "path.json"
    assert message in one_line(capsys, shape, "--load-config", load_config, "--output-path", output, *options)
    assert not list(tmp_path.iterdir())


def test_the_point_where_the_camera_of_a_dolly_stands(capsys, tmp_path, load_config):
    position = read_views(read_config(load_config), "train").poses[2, :3, 3]
    options = [
        "--load-config",
        load_config,
        "--output-path",
        tmp_path / "a.json",
        "--point",
        *map(repr, position.tolist()),
    ]
    assert "r_2.png stands at the point of interest" in one_line(capsys, "dolly", *options, "--start-image", "r_2")


def test_nothing_is_overwritten(capsys, tmp_path, load_config):
    (tmp_path / "a.json").write_text("mine")
    options = ["--load-config", load_config, "--output-path", tmp_path / "a.json"]
    assert "exists and is not overwritten" in one_line(capsys, "orbit", *options)
    assert (tmp_path / "a.json").read_text() == "mine"


def without_data(config):
    config.pipeline.datamanager.dataparser = vanilla_nerf.method.config.pipeline.datamanager.dataparser
    config.pipeline.datamanager.data = Path("/nowhere/at/all")


def without_dataparser(config):
    del config.pipeline.datamanager.dataparser


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (without_data, "cannot be read"),
        (without_dataparser, "is not trained on images"),
    ],
)
def test_runs_without_cameras(capsys, tmp_path, load_config, break_it, message):
    config = yaml.load(load_config.read_text(), Loader=yaml.Loader)
    break_it(config)
    (tmp_path / "config.yml").write_text(yaml.dump(config))
    assert message in one_line(capsys, "orbit", "--load-config", tmp_path / "config.yml")


def test_a_runs_folder_stands_for_its_config(capsys, tmp_path, load_config):
    poses = [
        poses_of(make(capsys, tmp_path / str(k), "orbit", path, "--frames", 4))
        for k, path in enumerate((load_config, load_config.parent))
    ]
    np.testing.assert_array_equal(*poses)
    assert "is a folder without config.yml" in one_line(capsys, "orbit", "--load-config", tmp_path)


def test_files_that_are_no_run(capsys, tmp_path):
    assert "no such file" in one_line(capsys, "orbit", "--load-config", tmp_path / "config.yml")
    (tmp_path / "config.yml").write_text("{a: [")
    assert "cannot be read" in one_line(capsys, "orbit", "--load-config", tmp_path / "config.yml")
    (tmp_path / "config.yml").write_text("a: 1")
    assert "no method" in one_line(capsys, "orbit", "--load-config", tmp_path / "config.yml")


def leave(monkeypatch, count):
    """Lets datasets have only their first images."""
    from nerf_plugins.camera_paths import training_views
    from nerf_plugins.data.frames import select_frames

    read = training_views._read_outputs
    monkeypatch.setattr(training_views, "_read_outputs", lambda *args: select_frames(read(*args), range(count)))


def test_a_dataset_without_cameras(capsys, monkeypatch, load_config, tmp_path):
    leave(monkeypatch, 0)
    options = ["--load-config", load_config, "--output-path", tmp_path / "a.json"]
    assert "no cameras" in one_line(capsys, "orbit", *options)


def test_a_single_camera(capsys, monkeypatch, load_config, tmp_path):
    leave(monkeypatch, 1)
    options = ["--load-config", load_config, "--output-path", tmp_path / "a.json"]
    assert "meets no other" in one_line(capsys, "orbit", *options)
    assert "give --angles" in one_line(capsys, "spiral", *options, "--point", 0, 0, 0)
    assert "1 image to go through" in one_line(capsys, "interpolate", *options)
    position = read_views(read_config(load_config), "train").poses[0, :3, 3].tolist()
    assert "where the camera itself stands" in one_line(capsys, "orbit", *options, "--point", *map(repr, position))
    assert run("orbit", *options, "--point", 0, 0, 0) == 0


@pytest.mark.usefixtures("without_type_checker")
def test_ns_render_makes_a_video_of_it(capsys, tmp_path, workspace):
    import imageio_ffmpeg

    config = write_config(workspace, "rendered")
    write_checkpoint(config)
    path, video = tmp_path / "path.json", tmp_path / "video.mp4"
    options = ["--frames", 2, "--fps", 2, "--height", 25]
    assert run("orbit", "--load-config", config, "--output-path", path, *options) == 0
    command = [str(Path(sys.executable).parent / "ns-render"), "camera-path", "--load-config", str(config)]
    answer = subprocess.run(
        [*command, "--camera-path-filename", str(path), "--output-path", str(video)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    reader = imageio_ffmpeg.read_frames(str(video))
    assert next(reader)["size"] == (24, 24)
    assert len(list(reader)) == 2
