"""Methods for moving scenes, in small real runs on the moving demo scene."""

import copy
import json
import re
from pathlib import Path

import pytest
import torch
from nerfstudio.cameras.camera_paths import get_interpolated_camera_path
from nerfstudio.utils.eval_utils import eval_setup

from nerf_plugins import cli
from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.engine.timeless_paths import refuse_timeless_paths
from nerf_plugins.engine.trainer import PluginTrainerConfig
from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.methods import dnerf, dnerf_hash, tnerf_hash
from tests.training import train

METHODS = {"mlp": dnerf.method, "hash": dnerf_hash.method, "baseline": tnerf_hash.method}
TABLE = HashEncodingConfig(n_levels=4, log2_table_size=10, start_levels=2)
WARMUP = 16


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("moving")


def make_config(workspace: Path, name: str, steps: int = 20, scene: str = "moving", **more) -> PluginTrainerConfig:
    config = copy.deepcopy(METHODS[name].config)
    assert isinstance(config, PluginTrainerConfig)
    config.output_dir, config.experiment_name, config.timestamp = workspace / "out", name, more.pop("timestamp", "t")
    config.vis, config.logging.local_writer.enable, config.machine.device_type = "tensorboard", False, "cpu"
    config.max_num_iterations, config.load_dir = steps, more.pop("load_dir", None)
    config.freeze = more.pop("freeze", ())
    config.pipeline.datamanager.dataparser = DemoDataParserConfig(
        data=workspace / "demo", scene=scene, resolution=24, num_train=8, num_val=1, num_test=2
    )
    model = config.pipeline.model
    model.occupancy.grid.resolution, model.occupancy.grid.warmup_steps = 16, WARMUP
    model.occupancy.steps_per_diagonal = 64
    if name == "mlp":
        model.field.canonical.D = model.field.warp.D = 2
        model.field.canonical.skips = model.field.warp.skips = ()
        model.field.canonical.W = model.field.warp.W = 32
    elif name == "hash":
        model.field.canonical.encoding = TABLE
    else:
        model.field.encoding = TABLE
    assert not more
    return config


@pytest.mark.parametrize("name", METHODS)
def test_it_trains_and_pictures_depend_on_the_time(workspace: Path, name: str):
    trainer = train(make_config(workspace, name))
    _, pipeline, _, _ = eval_setup(trainer.base_dir / "config.yml")
    assert pipeline.datamanager.includes_time  # the viewer's slider
    model, cameras = pipeline.model, pipeline.datamanager.eval_dataset.cameras[:1]
    pictures = []
    for time in (0.0, 1.0):
        cameras.times = torch.tensor([[time]])
        pictures.append(model.get_outputs_for_camera(cameras)["rgb"])
        assert pictures[-1].isfinite().all()
    assert (pictures[0] - pictures[1]).abs().max() > 1e-6
    surfaces = [model.implicit_surface(time).value(torch.rand(64, 3) - 0.5) for time in (0.0, 1.0)]
    assert not torch.equal(*surfaces)


def test_a_run_goes_on_with_its_warp_and_parts_can_be_frozen(workspace: Path):
    first = train(make_config(workspace, "hash", timestamp="first"))
    before = {key: value.clone() for key, value in first.pipeline.model.state_dict().items()}
    on = make_config(workspace, "hash", 4, load_dir=first.checkpoint_dir, timestamp="on", freeze=("warp",))
    after = train(on).pipeline.model.state_dict()
    warp = [key for key in before if key.startswith("field.warp")]
    assert len(warp) > 4
    assert all(torch.equal(before[key], after[key]) for key in warp)
    assert not torch.equal(before["field.canonical.encoding.table"], after["field.canonical.encoding.table"])


def test_a_dataset_without_times_is_named(workspace: Path):
    with pytest.raises(
        SystemExit,
        match=r"^nerf-plugins: the method's field needs the time of each photo, and the dataset gives none: use",
    ):
        train(make_config(workspace, "hash", scene="demo", timestamp="still"))


def test_ns_render_interpolate_is_sent_to_a_path_with_times(workspace: Path):
    """Whose views have none. The command that it names writes a path that is rendered."""
    render = pytest.importorskip("nerfstudio.scripts.render")
    folder = train(make_config(workspace, "baseline", timestamp="shown")).base_dir
    load_config, path = folder / "config.yml", folder / "path.json"
    shown = render.RenderInterpolated(load_config, output_path=folder / "video.mp4", interpolation_steps=2)
    with pytest.raises(
        SystemExit, match=r"nerf-plugins: ns-render interpolate gives its views no times.* make a path"
    ) as error:
        shown.main()
    named = re.search(r"nerf-plugins (camera-path .*?--time 0 1)", str(error.value))
    assert named is not None
    words = named[1].replace("outputs/.../config.yml", str(load_config)).split()
    with pytest.raises(SystemExit) as exit_:
        cli.main([*words, "--steps", "1", "--height", "12", "--output-path", str(path)])
    assert exit_.value.code == 0
    render.RenderCameraPath(
        load_config, output_path=folder / "views", camera_path_filename=path, output_format="images"
    ).main()
    assert len(list((folder / "views").iterdir())) == len(json.loads(path.read_text())["camera_path"]) > 2


def test_views_of_a_still_scene_are_interpolated_after_those_of_a_moving_one():
    render = pytest.importorskip("nerfstudio.scripts.render")
    refuse_timeless_paths(True)
    assert render.get_interpolated_camera_path is not get_interpolated_camera_path
    refuse_timeless_paths(False)
    assert render.get_interpolated_camera_path is get_interpolated_camera_path


def test_rays_without_times_are_named(workspace: Path):
    _, pipeline, _, _ = eval_setup(
        train(make_config(workspace, "baseline", 2, timestamp="rays")).base_dir / "config.yml"
    )
    cameras = pipeline.datamanager.eval_dataset.cameras[:1]
    cameras.times = None
    with pytest.raises(InputError, match="the field needs the time of each view, and these rays have none"):
        pipeline.model.get_outputs_for_camera(cameras)
