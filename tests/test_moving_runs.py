"""Methods for moving scenes, in small real runs on the moving demo scene."""

import copy
from pathlib import Path

import pytest
import torch
from nerfstudio.utils.eval_utils import eval_setup

from nerf_plugins.dataparsers.demo import DemoDataParserConfig
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
    with pytest.raises(InputError, match="the field needs the time of each photo, and the dataset gives none"):
        train(make_config(workspace, "hash", scene="demo", timestamp="still"))
