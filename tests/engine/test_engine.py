import math
import os
import types
from pathlib import Path

import pytest
import torch
import yaml
from nerfstudio.engine.trainer import Trainer

from nerf_plugins.engine.cost import TrainingCost
from nerf_plugins.engine.one_line_errors import one_line_errors
from nerf_plugins.engine.pipeline import NerfPipeline, NerfPipelineConfig
from nerf_plugins.engine.schedulers import (
    RisingSchedulerConfig,
    TrainingLengthSchedulerConfig,
    WarmupExponentialSchedulerConfig,
)
from nerf_plugins.engine.trainer import NerfTrainer, PluginTrainerConfig, check_checkpoint_file, check_groups
from nerf_plugins.errors import InputError


def make_trainer(tmp_path: Path, **options) -> NerfTrainer:
    """A trainer with only what saving needs."""
    config = PluginTrainerConfig(method_name="m", experiment_name="e", timestamp="t", output_dir=tmp_path, **options)
    trainer = NerfTrainer.__new__(NerfTrainer)
    trainer.config = config
    trainer.base_dir = config.get_base_dir()
    trainer.checkpoint_dir = config.get_checkpoint_dir()
    trainer.base_dir.mkdir(parents=True)
    trainer.pipeline = torch.nn.Linear(2, 2)  # type: ignore[assignment]
    trainer.optimizers = types.SimpleNamespace(optimizers={}, schedulers={})  # type: ignore[assignment]
    trainer.grad_scaler = torch.amp.GradScaler("cpu", enabled=False)  # type: ignore[assignment]
    return trainer


def checkpoints(trainer: NerfTrainer) -> list[str]:
    return sorted(path.name for path in trainer.checkpoint_dir.iterdir())


def test_only_the_latest_checkpoint_is_kept(tmp_path: Path):
    trainer = make_trainer(tmp_path)
    trainer.save_checkpoint(10)
    trainer.save_checkpoint(20)
    assert checkpoints(trainer) == ["step-000000020.ckpt"]
    assert torch.load(trainer.checkpoint_dir / "step-000000020.ckpt")["step"] == 20


def test_all_checkpoints_are_kept_if_wanted(tmp_path: Path):
    trainer = make_trainer(tmp_path, save_only_latest_checkpoint=False)
    trainer.save_checkpoint(10)
    trainer.save_checkpoint(20)
    assert checkpoints(trainer) == ["step-000000010.ckpt", "step-000000020.ckpt"]


def test_a_save_that_is_cut_off_leaves_the_old_checkpoint_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trainer = make_trainer(tmp_path)
    trainer.save_checkpoint(10)

    def cut_off(state: dict, path: Path) -> None:
        Path(path).write_bytes(b"half a checkp")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        trainer.save_checkpoint(20)
    assert checkpoints(trainer) == ["step-000000010.ckpt"]
    assert trainer.checkpoint_dir.name == "nerfstudio_models"
    assert trainer.config.save_only_latest_checkpoint
    assert [path.name for path in trainer.base_dir.iterdir()] == ["nerfstudio_models"]
    monkeypatch.undo()
    trainer.save_checkpoint(30)
    assert checkpoints(trainer) == ["step-000000030.ckpt"]
    assert [path.name for path in trainer.base_dir.iterdir()] == ["nerfstudio_models"]


def test_half_a_file_of_a_killed_training_stays_out_of_the_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trainer = make_trainer(tmp_path, save_only_latest_checkpoint=False)
    stale = trainer.base_dir / f".checkpoint-{os.getpid()}"  # in containers process ids recur
    stale.mkdir()
    (stale / "step-000000005.ckpt").write_bytes(b"half a checkp")
    trainer.save_checkpoint(10)
    assert checkpoints(trainer) == ["step-000000010.ckpt"]
    assert torch.load(trainer.checkpoint_dir / "step-000000010.ckpt")["step"] == 10
    monkeypatch.setattr(Trainer, "setup", lambda self, test_mode: setattr(self, "callbacks", []))
    trainer.setup()
    assert [path.name for path in trainer.base_dir.iterdir()] == ["nerfstudio_models"]
    assert checkpoints(trainer) == ["step-000000010.ckpt"]


def test_a_truncated_checkpoint_is_named(tmp_path: Path):
    path = tmp_path / "step-000000010.ckpt"
    torch.save({"x": torch.rand(1000)}, path)
    check_checkpoint_file(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"step-000000010\.ckpt is truncated"):
        check_checkpoint_file(path)


def test_evaluating_a_truncated_checkpoint_ends_in_one_line(tmp_path: Path):
    trainer = make_trainer(tmp_path)
    trainer.save_checkpoint(10)
    path = trainer.checkpoint_dir / "step-000000010.ckpt"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SystemExit, match="truncated"):
        trainer.config.get_checkpoint_dir()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"load_dir": Path("nowhere")}, "--load-dir nowhere does not exist"),
        ({"load_checkpoint": Path("nothing.ckpt")}, r"checkpoint nothing\.ckpt does not exist"),
    ],
)
def test_resuming_from_nothing_ends_in_one_line(tmp_path: Path, options: dict, message: str):
    trainer = make_trainer(tmp_path, **options)
    with pytest.raises(SystemExit, match=message):
        trainer._load_checkpoint()


def test_resuming_from_an_empty_folder_ends_in_one_line(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    trainer = make_trainer(tmp_path, load_dir=tmp_path / "empty")
    with pytest.raises(SystemExit, match="holds no step"):
        trainer._load_checkpoint()


def fake_pipeline() -> NerfPipeline:
    pipeline = NerfPipeline.__new__(NerfPipeline)
    torch.nn.Module.__init__(pipeline)
    pipeline._model = torch.nn.Linear(2, 3)
    pipeline._model.update_to_step = lambda step: None
    pipeline._model.take_up = lambda step, progress: None
    pipeline._model.progress = 1.0
    pipeline.cost = TrainingCost(torch.device("cpu"))
    pipeline.datamanager = torch.nn.Module()
    pipeline.datamanager.train_image_names = ["a.png", "b.png"]
    pipeline.datamanager.scene_from_world = torch.eye(4)[:3]
    pipeline.test_mode = "val"
    return pipeline


def tensors(pipeline: NerfPipeline) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in pipeline.state_dict().items() if isinstance(value, torch.Tensor)}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.pop("_model.bias"), "lacks bias"),
        (lambda s: s.update({"_model.other": torch.ones(1)}), "unknown other"),
        (lambda s: s.update({"_model.bias": torch.ones(5)}), r"bias has shape \(5,\), the model's \(3,\)"),
    ],
)
def test_an_incompatible_checkpoint_is_refused_and_nothing_is_overwritten(spoil, message: str):
    pipeline = fake_pipeline()
    before = tensors(pipeline)
    state = {key: value + 1 for key, value in before.items()}
    spoil(state)
    with pytest.raises(SystemExit, match=f"{message}.*: it was written by another version"):
        pipeline.load_pipeline(state, 10)
    state["_extra_state"] = pipeline.get_extra_state()
    with pytest.raises(SystemExit, match=f"{message}.*: it was made with other options"):
        pipeline.load_pipeline(state, 10)
    assert all(torch.equal(before[key], value) for key, value in tensors(pipeline).items())


def test_a_compatible_checkpoint_loads():
    pipeline = fake_pipeline()
    wanted = {key: value + 1 for key, value in tensors(pipeline).items()}
    pipeline.load_pipeline(wanted, 10)
    assert all(torch.equal(wanted[key], value) for key, value in tensors(pipeline).items())


def test_a_missing_data_folder_ends_in_one_line(tmp_path: Path):
    config = NerfPipelineConfig()
    config.datamanager.data = tmp_path / "nowhere"
    with pytest.raises(SystemExit, match="nowhere does not exist"):
        config.setup(device="cpu")


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), one_line_errors():
        _ = 1 / 0


def test_schedule_by_hand_and_its_state_is_plain():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(1))], lr=1e-2)
    config = WarmupExponentialSchedulerConfig(warmup_steps=4, lr_final=1e-4, max_steps=100)
    scheduler = config.setup().get_scheduler(optimizer, 1e-2)
    rates = []
    for _ in range(151):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(1e-2 / 4)
    assert rates[50] == pytest.approx(1e-3)  # half-way between 1e-2 and 1e-4, in the logarithm
    assert rates[100] == rates[150] == pytest.approx(1e-4)
    state = [optimizer.state_dict()["param_groups"][0]["lr"], *scheduler.state_dict()["_last_lr"]]
    assert all(type(value) is float for value in state)


def rates_of(config: TrainingLengthSchedulerConfig, lr: float, steps: int) -> list[float]:
    """The rate of each step."""
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(1))], lr=lr)
    scheduler, rates = config.setup().get_scheduler(optimizer, lr), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("lr", [1.0, 5e-4])
def test_a_rising_rate_carries_as_far_however_long_the_training(lr: float):
    short = rates_of(RisingSchedulerConfig(reach=0.75, share=0.5, max_steps=20), lr, 22)
    assert short[:10] == pytest.approx([0.015 * k for k in range(1, 11)])  # 2 * 0.75 / 10**2 = 0.015
    assert short[10] == short[21] == short[9]
    for n, rises in ((1000, 500), (100_000, 2000)):
        rates = rates_of(RisingSchedulerConfig(reach=0.75, share=0.5, rise_steps=2000, max_steps=n), lr, rises + 2)
        assert sum(rates[:rises]) == pytest.approx(0.75, rel=3e-3)
        assert rates[rises - 2] < rates[rises - 1] == rates[rises + 1]


@pytest.mark.parametrize("options", [{"share": 0.0}, {"share": 1.5}, {"rise_steps": 0}])
def test_a_rise_over_nothing_is_refused(options: dict):
    with pytest.raises(InputError, match=f"{next(iter(options))} "):
        RisingSchedulerConfig(**options)


@pytest.mark.parametrize("max_steps", [0, -3])
def test_a_schedule_of_no_steps_is_refused(max_steps: int):
    with pytest.raises(InputError, match=f"max_steps must be >= 1.*got {max_steps}"):
        RisingSchedulerConfig(max_steps=max_steps)


@pytest.mark.parametrize("lr_final", [0.0, -1e-4, math.nan])
def test_a_decay_to_nothing_is_refused(lr_final: float):
    with pytest.raises(InputError, match=f"lr_final must be > 0.*got {lr_final:g}"):
        WarmupExponentialSchedulerConfig(lr_final=lr_final)
    with pytest.raises(InputError, match="max_steps must be >= 1"):
        WarmupExponentialSchedulerConfig(max_steps=0)


def test_a_checkpoint_after_no_step_is_refused():
    with pytest.raises(InputError, match=r"save_at_steps: .*got 0"):
        PluginTrainerConfig(method_name="m", save_at_steps=(10, 0))


def test_the_trainer_is_nerfstudios():
    assert issubclass(NerfTrainer, Trainer)


def test_a_file_that_cannot_be_read_is_one_line():
    """nerfstudio's dataparsers open the first image themselves; PIL's error names no file."""
    with (
        pytest.raises(SystemExit, match=r"an image of the data cannot be read \(image file is truncated\)"),
        one_line_errors(),
    ):
        raise OSError("image file is truncated")


def test_a_config_of_an_earlier_version_ends_in_one_line(tmp_path: Path):
    (tmp_path / "config.yml").write_text(
        "!!python/object:nerf_plugins.engine.trainer.NerfTrainerConfig\nmethod_name: m\n"
    )
    with pytest.raises(
        SystemExit, match=r"^nerf-plugins: this config\.yml was written by nerf-plugins 0\.1.*train again$"
    ):
        yaml.load((tmp_path / "config.yml").read_text(), Loader=yaml.Loader)


def test_a_parameter_group_without_an_optimiser_is_named():
    check_groups({"fields": []}, {"fields": {}, "camera_opt": {}})
    with pytest.raises(
        InputError, match=r"parameter group 'warp', and the method no optimiser for it \(it has fields\)"
    ):
        check_groups({"fields": [], "warp": []}, {"fields": {}})
