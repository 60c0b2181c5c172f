"""The methods of cones, in small real runs on the demo scene."""

import copy
from pathlib import Path

import pytest
import torch
from nerfstudio.utils.eval_utils import eval_setup

from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.engine.trainer import PluginTrainerConfig
from nerf_plugins.methods import mip_nerf, mip_nerf_360
from tests.training import train

METHODS = {"mip-nerf": mip_nerf.method, "mip-nerf-360": mip_nerf_360.method}
SMALL = {"D": 2, "W": 32, "skips": (), "position_frequencies": 6}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mip")


def make_config(workspace: Path, name: str, timestamp: str, steps: int, load_dir: Path | None = None):
    config = copy.deepcopy(METHODS[name].config)
    assert isinstance(config, PluginTrainerConfig)
    config.output_dir, config.experiment_name, config.timestamp = workspace / "out", name, timestamp
    config.vis, config.logging.local_writer.enable, config.machine.device_type = "tensorboard", False, "cpu"
    config.max_num_iterations, config.load_dir = steps, load_dir
    manager, model = config.pipeline.datamanager, config.pipeline.model
    manager.train_num_rays_per_batch = 64
    manager.dataparser = DemoDataParserConfig(
        data=workspace / "demo", resolution=24, num_train=4, num_val=1, num_test=1
    )
    for option, value in SMALL.items():
        setattr(model.field, option, value)
    model.occupancy.grid.resolution, model.occupancy.grid.warmup_steps = 16, 16
    model.occupancy.steps_per_diagonal, model.occupancy.budget.samples_per_batch = 64, 1 << 11
    model.proposal.field.width, model.proposal.n_proposals, model.proposal.n_samples = 16, (16, 8), 8
    model.two_pass.n_coarse = model.two_pass.n_fine = 8
    return config


@pytest.mark.parametrize("name", METHODS)
def test_a_run_is_rendered_and_goes_on(workspace: Path, name: str):
    first = train(make_config(workspace, name, "first", 20))
    model = first.pipeline.model
    state = {key: value.clone() for key, value in model.state_dict().items()}
    _, pipeline, _, _ = eval_setup(first.base_dir / "config.yml")
    camera = pipeline.datamanager.eval_dataset.cameras[:1]
    rgb = pipeline.model.get_outputs_for_camera(camera)["rgb"]
    assert rgb.isfinite().all()
    torch.testing.assert_close(rgb, model.eval().get_outputs_for_camera(camera)["rgb"])
    on = make_config(workspace, name, "on", 1, load_dir=first.checkpoint_dir)
    trainer = on.setup(local_rank=0, world_size=1)
    trainer.setup()
    assert trainer._start_step == 20
    loaded = trainer.pipeline.model.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
