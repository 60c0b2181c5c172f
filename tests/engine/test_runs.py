"""Subsets, fine-tuning, freezing and cropping in small real runs on the demo scene."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from nerfstudio.utils.eval_utils import eval_setup

from nerf_plugins.data.datamanager import NerfDataManager
from nerf_plugins.data.subset import SubsetConfig
from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.engine.trainer import NerfTrainer, PluginTrainerConfig
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.methods import nerf_hash
from tests.training import set_up, train

N_TRAIN, WARMUP, STEPS = 8, 16, 20
TINY = {"data": "demo", "resolution": 24, "num_train": N_TRAIN, "num_val": 1, "num_test": 2}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def make_config(workspace: Path, timestamp: str, **options) -> PluginTrainerConfig:
    config = copy.deepcopy(nerf_hash.method.config)
    assert isinstance(config, PluginTrainerConfig)
    config.output_dir, config.experiment_name, config.timestamp = workspace / "out", "e", timestamp
    config.vis, config.logging.local_writer.enable, config.machine.device_type = "tensorboard", False, "cpu"
    config.max_num_iterations, config.load_dir = options.pop("steps", STEPS), options.pop("load_dir", None)
    config.freeze, config.restart_steps = options.pop("freeze", ()), options.pop("restart_steps", False)
    pipeline = config.pipeline
    pipeline.datamanager.dataparser = DemoDataParserConfig(**{**TINY, "data": workspace / "demo"})
    pipeline.datamanager.subset = options.pop("subset", SubsetConfig())
    pipeline.crop_box = options.pop("crop_box", None)
    pipeline.model.near_plane = options.pop("near_plane", 0.05)
    pipeline.model.field.encoding = HashEncodingConfig(n_levels=4, log2_table_size=10)
    pipeline.model.occupancy.grid.resolution, pipeline.model.occupancy.grid.warmup_steps = 16, WARMUP
    pipeline.model.occupancy.steps_per_diagonal = 64
    assert not options
    return config


def names(datamanager: NerfDataManager) -> tuple[list[str], list[str]]:
    """(training, evaluation) images, as "train/r_3"."""
    outputs = (datamanager.train_dataset._dataparser_outputs, datamanager.eval_dataset._dataparser_outputs)
    train, held_out = ([f"{p.parent.name}/{p.stem}" for p in o.image_filenames] for o in outputs)
    return train, held_out


@pytest.fixture(scope="module")
def first(workspace: Path) -> NerfTrainer:
    return train(make_config(workspace, "first", subset=SubsetConfig(n_images=4)))


def test_a_subset_is_that_of_the_run_when_it_is_evaluated(first: NerfTrainer):
    wanted = [f"train/r_{i}" for i in (0, 2, 5, 7)]
    assert names(first.pipeline.datamanager) == (wanted, ["val/r_0"])
    (checkpoint,) = first.checkpoint_dir.iterdir()
    stored = torch.load(checkpoint, weights_only=True)["pipeline"]["_extra_state"]["train_image_names"]
    assert [name.rsplit("/", 1)[1] for name in stored] == [f"r_{i}.png" for i in (0, 2, 5, 7)]
    _, pipeline, _, _ = eval_setup(first.base_dir / "config.yml")
    assert names(pipeline.datamanager) == (wanted, ["test/r_0", "test/r_1"])


def test_the_run_keeps_its_lists(workspace: Path, first: NerfTrainer):
    path = workspace / "lists.json"
    path.write_text(json.dumps({"train": ["train/r_1", "val/r_0", "r_7"], "test": ["train/r_3"]}))
    trainer = train(make_config(workspace, "lists", steps=1, subset=SubsetConfig(split_file=path)))
    path.unlink()
    _, pipeline, _, _ = eval_setup(trainer.base_dir / "config.yml")
    wanted = (["train/r_1", "val/r_0", "train/r_7"], ["train/r_3"])
    assert names(trainer.pipeline.datamanager) == names(pipeline.datamanager) == wanted
    assert len(pipeline.datamanager.fixed_indices_eval_dataloader) == 1


def test_a_run_that_went_on_from_a_step_is_evaluated_at_its_own_last(workspace: Path, first: NerfTrainer):
    options = {"steps": 3, "load_dir": first.checkpoint_dir, "subset": SubsetConfig(n_images=4)}
    config = make_config(workspace, "from a step", **options)
    config.load_step = STEPS - 1
    trainer = train(config)
    assert trainer._start_step == STEPS
    _, _, path, step = eval_setup(trainer.base_dir / "config.yml")
    assert (path.parent, step) == (trainer.checkpoint_dir, STEPS + 2)


def last_rate(trainer: NerfTrainer) -> float:
    return trainer.optimizers.schedulers["fields"].get_last_lr()[0]


def test_the_rate_ends_with_the_training_however_long_it_is(workspace: Path, first: NerfTrainer):
    lr, lr_final = 1e-2, 1e-3
    config = make_config(workspace, "goes on", steps=40, subset=SubsetConfig(n_images=4), load_dir=first.checkpoint_dir)
    resumed = set_up(config)
    assert config.optimizers["fields"]["scheduler"].max_steps is None  # nor does config.yml say 60
    schedule = resumed.optimizers.schedulers["fields"].lr_lambdas[0]
    assert schedule(STEPS) * lr == pytest.approx(lr * (lr_final / lr) ** (STEPS / 60) * (STEPS + 1) / 50)
    assert schedule(60) * lr == pytest.approx(lr_final)
    assert last_rate(first) == pytest.approx(lr_final * (STEPS + 1) / 50)  # 50 steps of warm-up are more than its 20
    anew = make_config(workspace, "anew", steps=40, load_dir=first.checkpoint_dir)
    anew.load_scheduler = False
    assert set_up(anew).optimizers.schedulers["fields"].lr_lambdas[0](40) * lr == pytest.approx(lr_final * 41 / 50)
    fixed = make_config(workspace, "fixed", steps=40)
    fixed.optimizers["fields"]["scheduler"].max_steps = 10
    assert set_up(fixed).optimizers.schedulers["fields"].lr_lambdas[0](10) * lr == pytest.approx(lr_final * 11 / 50)


def test_fine_tuning_the_colour_on_other_images(workspace: Path, first: NerfTrainer):
    options = {"load_dir": first.checkpoint_dir, "freeze": ("geometry",), "restart_steps": True, "steps": 5}
    subset = SubsetConfig(n_images=6, choice="first")
    trainer = set_up(make_config(workspace, "colour", subset=subset, **options))
    model, optimizer = trainer.pipeline.model, trainer.optimizers.optimizers["fields"]
    assert trainer._start_step == 0
    assert not optimizer.state  # it begins anew
    rate = optimizer.param_groups[0]["lr"]
    assert rate == set_up(make_config(workspace, "scratch")).optimizers.optimizers["fields"].param_groups[0]["lr"]
    assert model.sampler.march.coarseness == 1.0
    before = {name: value.clone() for name, value in model.named_parameters()}
    trainer.train()
    assert model.sampler.march.coarseness == 1.0  # the grid's warm-up is not repeated
    assert trainer.pipeline.datamanager.train_pixel_sampler.step == STEPS + 4  # nor the centre crop
    assert [path.name for path in trainer.checkpoint_dir.iterdir()] == ["step-000000004.ckpt"]
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if name.startswith(("field.color", "field.feature"))}
    _, pipeline, _, step = eval_setup(trainer.base_dir / "config.yml")
    assert step == 4
    assert pipeline.model.sampler.march.coarseness == 1.0
    assert pipeline.steps_before == STEPS
    (checkpoint,) = first.checkpoint_dir.iterdir()
    of_first = torch.load(checkpoint, weights_only=True)["pipeline"]["_extra_state"]
    assert 0.0 < of_first["train_seconds"] < pipeline.train_seconds
    assert 10.0 < of_first["train_peak_mib"] <= pipeline.train_peak_mib


def test_going_on_with_other_images_keeps_step_rate_and_optimiser(workspace: Path, first: NerfTrainer):
    trainer = set_up(make_config(workspace, "on", load_dir=first.checkpoint_dir))
    assert trainer._start_step == STEPS
    assert trainer.optimizers.schedulers["fields"].last_epoch == STEPS
    old, new = first.optimizers.optimizers["fields"], trainer.optimizers.optimizers["fields"]
    assert new.param_groups[0]["lr"] == old.param_groups[0]["lr"]
    for a, b in zip(old.param_groups[0]["params"], new.param_groups[0]["params"]):
        assert torch.equal(old.state[a]["exp_avg"], new.state[b]["exp_avg"])
    assert len(names(trainer.pipeline.datamanager)[0]) == N_TRAIN


def test_learnt_poses_follow_their_images(workspace: Path):
    def config(timestamp: str, **options) -> PluginTrainerConfig:
        made = make_config(workspace, timestamp, **options)
        made.pipeline.model.camera_optimizer.mode = "SO3xR3"
        return made

    before = train(config("poses", subset=SubsetConfig(n_images=4)))  # 0, 2, 5 and 7
    learnt = before.pipeline.model.camera_optimizer.pose_adjustment
    assert (learnt.abs().amax(-1) > 0).all()
    subset = SubsetConfig(n_images=3, choice="first")  # 0, 1 and 2
    after = set_up(config("poses2", load_dir=before.checkpoint_dir, subset=subset))
    rows = after.pipeline.model.camera_optimizer.pose_adjustment
    assert torch.equal(rows, torch.stack([learnt[0], torch.zeros(6), learnt[1]]))
    after.train()


CROP = (-1.0, -1.0, -1.0, -0.5, 1.0, 1.0)


def test_a_crop_holds_in_training_and_in_pictures(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    trainer = set_up(make_config(workspace, "crop", crop_box=CROP, steps=3))
    model, seen = trainer.pipeline.model, []
    field = model.field.forward
    monkeypatch.setattr(
        model.field, "forward", lambda points: (seen.append(points.positions.detach()), field(points))[1]
    )
    trainer.train()
    positions = torch.cat(seen)
    assert len(positions) > 1000
    assert -1.0 <= positions[:, 0].min() < -0.9
    assert -0.6 < positions[:, 0].max() <= -0.5
    seen.clear()
    _, pipeline, _, _ = eval_setup(trainer.base_dir / "config.yml")
    field = pipeline.model.field.forward
    monkeypatch.setattr(
        pipeline.model.field, "forward", lambda points: (seen.append(points.positions.detach()), field(points))[1]
    )
    camera = pipeline.datamanager.eval_dataset.cameras[0:1]
    outputs = pipeline.model.get_outputs_for_camera(camera)
    positions = torch.cat(seen)
    assert -0.6 < positions[:, 0].max() <= -0.5
    rays = pipeline.model.collider(camera.generate_rays(0))
    misses = rays.nears >= rays.fars
    assert 0.1 < misses.float().mean() < 0.9
    assert (outputs["accumulation"][misses] == 0).all()
    assert (outputs["accumulation"][~misses] > 0).float().mean() > 0.9


def test_a_crop_by_depth(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    trainer = set_up(make_config(workspace, "depth", near_plane=3.3, steps=3))  # the cameras' distance to the middle
    model, seen = trainer.pipeline.model, []
    march = model.sampler.march.march
    monkeypatch.setattr(model.sampler.march, "march", lambda *a, **k: (seen.append(march(*a, **k)), seen[-1])[1])
    trainer.train()
    starts = torch.cat([samples.t_starts for samples in seen])
    assert 3.3 <= starts.min() < 3.4
    model.eval()
    depth = model.get_outputs_for_camera(trainer.pipeline.datamanager.eval_dataset.cameras[0:1])["depth"]
    assert (depth[depth > 0] >= 3.3).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": SubsetConfig(n_images=99)}, "n_images 99: there are only 8 training images"),
        ({"subset": SubsetConfig(split_file=Path("nothing.json"))}, r"split file nothing\.json: cannot be read"),
        ({"crop_box": (5.0, 5.0, 20.0, 6.0, 6.0, 21.0)}, "crop_box .*no training camera looks at it"),
        ({"freeze": ("colours",)}, "--freeze colours: there is no such part"),
        ({"restart_steps": True}, "--restart-steps: there is nothing to restart"),
    ],
)
def test_bad_input_ends_in_one_line(workspace: Path, options: dict, message: str):
    with pytest.raises(SystemExit, match=f"^nerf-plugins: .*{message}"):
        set_up(make_config(workspace, "bad", **options))


def ns_train(workspace: Path, timestamp: str, *options: str) -> subprocess.CompletedProcess:
    data = [f"--{key.replace('_', '-')}={value}" for key, value in TINY.items()]
    place = ["--output-dir=out", "--experiment-name=e", f"--timestamp={timestamp}", "--vis=tensorboard"]
    small = ["--pipeline.model.field.encoding.n-levels=4", "--pipeline.model.field.encoding.log2-table-size=10"]
    small += ["--pipeline.model.occupancy.grid.resolution=16", "--max-num-iterations=5"]
    command = [str(Path(sys.executable).parent / "ns-train"), "nerf-hash-custom", *place, *small, *options]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "TORCH_HOME": str(workspace / "torch")}
    return subprocess.run(
        [*command, "demo-data", *data], cwd=workspace, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_options_as_a_user_gives_them(workspace: Path, first: NerfTrainer):
    subset = ["--pipeline.datamanager.subset.n-images=3", "--pipeline.datamanager.subset.choice=random"]
    crop = ["--pipeline.crop-box", *map(str, CROP)]
    options = [f"--load-dir={first.checkpoint_dir}", "--restart-steps=True", "--freeze=geometry", *subset, *crop]
    result = ns_train(workspace, "cli", *options)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    printed = " ".join(result.stdout.split())
    assert "Subset: training on 3 images, evaluating on 1." in printed
    assert "Training on 3 images, " in printed
    assert "Frozen: geometry (" in printed
    folder = workspace / "out" / "e" / "nerf-hash-custom" / "cli"
    config = yaml.load((folder / "config.yml").read_text(), Loader=yaml.Loader)
    assert config.pipeline.datamanager.subset == SubsetConfig(n_images=3, choice="random")
    assert (config.pipeline.crop_box, config.freeze) == (CROP, ("geometry",))
    assert (folder / "nerfstudio_models" / "step-000000004.ckpt").is_file()


def test_an_unknown_frame_is_one_line(workspace: Path):
    (workspace / "bad.json").write_text('{"train": ["train/r_1", "train/r_99"]}')
    result = ns_train(workspace, "unknown", "--pipeline.datamanager.subset.split-file=bad.json")
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(
        'nerf-plugins: split file out/e/nerf-hash-custom/unknown/split_indices.json, "train": no image of'
    )
    assert "Traceback" not in result.stderr
