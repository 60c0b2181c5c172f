"""nerfstudio's trainer, with checkpoints that are whole or not there."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import torch
import tyro
import yaml
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackLocation
from nerfstudio.engine.optimizers import Optimizers
from nerfstudio.engine.trainer import Trainer, TrainerConfig
from nerfstudio.utils.decorators import check_main_thread
from nerfstudio.utils.rich_utils import CONSOLE

from nerf_plugins.console import keep_brackets
from nerf_plugins.data.subset import read_split_file
from nerf_plugins.engine.finetuning import load_optimizer
from nerf_plugins.engine.freezing import freeze
from nerf_plugins.engine.new_runs import new_run, taken_back_if_refused
from nerf_plugins.engine.one_line_errors import one_line_errors
from nerf_plugins.engine.pipeline import NerfPipeline, NerfPipelineConfig
from nerf_plugins.engine.presets import resolve_presets
from nerf_plugins.engine.schedulers import TrainingLengthSchedulerConfig
from nerf_plugins.errors import InputError, near_path
from nerf_plugins.fields.appearance import settle_appearance
from nerf_plugins.runs.checkpoints import checkpoint_name, checkpoints_in

# Of the folders in a run's that a checkpoint is written in before it is moved to its place.
_PART_PREFIX = ".checkpoint-"


# What a config.yml of version 0.1 begins with; since then samplers, encodings and methods have other places.
_BEFORE_0_2 = "NerfTrainerConfig"


def __getattr__(name: str) -> Any:
    """Reading a config.yml looks its classes up here: one of an earlier version ends in one line, whichever command reads it."""
    if name == _BEFORE_0_2:
        raise SystemExit(
            "nerf-plugins: this config.yml was written by nerf-plugins 0.1, whose options had other places: this version cannot read it; "
            "use the version that wrote it, or train again"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass
class PluginTrainerConfig(TrainerConfig):
    """Training"""

    _target: type = field(default_factory=lambda: NerfTrainer, kw_only=True)
    """target class to instantiate"""
    freeze: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """What is not trained; may be given several times.
    geometry (then only the colour learns), color, a group of the optimisers (fields, variance), or a module or parameter by name.
    In names * stands for anything (field.*). The occupancy grid goes on following the density."""
    restart_steps: bool = False
    """With --load-dir or --load-checkpoint: count steps from 0 and begin learning rates and optimisers anew, for fine-tuning.
    What the model itself does by steps (annealing, the grid's warm-up, the centre crop) goes on where it was."""
    save_at_steps: tuple[int, ...] = ()
    """Also save after these many steps, and keep these checkpoints whatever else is deleted. The one after n steps is step-(n-1)."""

    def __post_init__(self) -> None:
        wrong = [n for n in self.save_at_steps if n < 1]
        if wrong:
            raise InputError(f"save_at_steps: give numbers of steps, 1 or more, got {wrong[0]}")

    def _settle(self) -> None:
        """Before anything is made, printed or saved: presets become those of the run's device, and file names in messages no markup."""
        resolve_presets(self, self.machine.device_type)
        keep_brackets()

    def setup(self, **kwargs: Any) -> Any:
        """The trainer."""
        self._settle()
        return super().setup(**kwargs)

    def print_to_terminal(self) -> None:
        """The first that ns-train does with a configuration."""
        self._settle()
        super().print_to_terminal()

    def save_config(self) -> None:
        """Saves the configuration as nerfstudio does, and with it a copy of the split file: the run's choice stays what it is."""
        self._settle()
        with new_run(self.get_base_dir()):
            with one_line_errors():
                self._keep_split_file()
            self._name_checkpoint()
            super().save_config()

    def _name_checkpoint(self) -> None:
        """Says --load-dir and --load-step as --load-checkpoint: ns-eval takes a stored load_step for one of the run's own."""
        if self.load_dir is not None and self.load_step is not None and self.load_checkpoint is None:
            self.load_checkpoint = self.load_dir / checkpoint_name(self.load_step)
            self.load_dir = self.load_step = None

    def _keep_split_file(self) -> None:
        if not isinstance(self.pipeline, NerfPipelineConfig):
            return
        datamanager = self.pipeline.datamanager
        given, kept = datamanager.subset.split_file, self.get_base_dir() / "split_indices.json"
        if given is None or given == kept:
            return
        read_split_file(given)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(given, kept)
        datamanager.subset = replace(datamanager.subset, split_file=kept)

    def get_checkpoint_dir(self) -> Path:
        """The checkpoint folder; what is in it must be readable, since nerfstudio's commands load the newest file unchecked."""
        folder = super().get_checkpoint_dir()
        with one_line_errors():
            for path in sorted(folder.glob("*.ckpt")):
                check_checkpoint_file(path)
        return folder


def check_checkpoint_file(path: Path) -> None:
    """Checks that a checkpoint is a whole archive; reads only its directory.

    Raises:
        InputError: it is missing, truncated or no checkpoint.
    """
    if not path.is_file():
        raise InputError(f"checkpoint {path} does not exist{near_path(path)}")
    if not zipfile.is_zipfile(path):
        raise InputError(f"checkpoint {path} is truncated or no checkpoint: delete it, the one before it is then used")


def check_groups(groups: Mapping[str, Any], optimizers: Mapping[str, Any]) -> None:
    """Checks that each parameter group of a model has its optimiser.

    Raises:
        InputError: one has none.
    """
    for name in groups:
        if name not in optimizers:
            raise InputError(
                f"the model has the parameter group {name!r}, and the method no optimiser for it (it has {', '.join(optimizers)}): "
                "add it to the groups in the method's file"
            )


class NerfTrainer(Trainer):
    """Writes a checkpoint beside its place and moves it there, so that a kill never leaves half of one."""

    config: PluginTrainerConfig
    pipeline: NerfPipeline
    _following: dict[str, TrainingLengthSchedulerConfig]
    """By parameter group, schedules that end with the training."""

    def __init__(self, config: PluginTrainerConfig, local_rank: int = 0, world_size: int = 1) -> None:
        if config.mixed_precision:
            CONSOLE.print("Mixed precision is up to the fields (field.precision): torch's autocast stays off.")
            config = replace(config, mixed_precision=False)
        super().__init__(config, local_rank, world_size)

    @property
    def last_step(self) -> int:
        """Steps of the model's whole training: those before a checkpoint, and those that follow."""
        return max(self.pipeline.steps_before + self._start_step + self.config.max_num_iterations, 1)

    def setup_optimizers(self) -> Optimizers:
        """nerfstudio's optimisers, after what is to be frozen has been."""
        groups = self.pipeline.get_param_groups()
        with one_line_errors():
            check_groups(groups, self.config.optimizers)
            if self.config.freeze:
                parts = self.pipeline.model.parts()  # type: ignore[operator]
                CONSOLE.print(freeze(self.pipeline.model, parts, groups, self.config.freeze))
        self._follow_training_length()
        return super().setup_optimizers()

    def _follow_training_length(self) -> None:
        """Lets the schedules that name no last step end with the training; in copies, since a configuration may be used again."""
        self._following, optimizers = {}, {}
        for name, group in self.config.optimizers.items():
            scheduler = group["scheduler"]
            if isinstance(scheduler, TrainingLengthSchedulerConfig) and scheduler.max_steps is None:
                scheduler = replace(scheduler, max_steps=max(self.config.max_num_iterations, 1))
                self._following[name] = scheduler
            optimizers[name] = group | {"scheduler": scheduler}
        self.config = replace(self.config, optimizers=optimizers)

    def setup(self, test_mode: Literal["test", "val", "inference"] = "val") -> None:
        """nerfstudio's set-up; the listed checkpoints are saved when all else has been done in their step."""
        self._remove_parts()
        given = self.config
        with taken_back_if_refused(self.base_dir):
            self._take_appearance()
            super().setup(test_mode=test_mode)
        self._save_settled(given)
        listed = tuple(n - 1 for n in self.config.save_at_steps)
        after = [TrainingCallbackLocation.AFTER_TRAIN_ITERATION]
        self.callbacks.append(TrainingCallback(after, lambda step: self.save_checkpoint(step), iters=listed))

    def _take_appearance(self) -> None:
        """Where a checkpoint is loaded, what differs between photos is left to it and not to this run's photos."""
        with one_line_errors():
            path = self._find_checkpoint()
        if path is not None:
            state = torch.load(path, map_location="cpu", mmap=True)["pipeline"].get("_extra_state", {})
            settle_appearance(getattr(self.config.pipeline.model, "field", None), state.get("appearance", "none"))

    @check_main_thread
    def _save_settled(self, config: TrainerConfig) -> None:
        """Writes config.yml anew, where ns-train has written one, if the data have settled what it left open."""
        path, text = config.get_base_dir() / "config.yml", yaml.dump(config)
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")

    @check_main_thread
    def _remove_parts(self) -> None:
        """Deletes what a training that was killed while it saved has left in the run's folder."""
        for part_dir in self.base_dir.glob(f"{_PART_PREFIX}*"):
            shutil.rmtree(part_dir, ignore_errors=True)

    @check_main_thread
    def save_checkpoint(self, step: int) -> None:
        """Saves as nerfstudio does, atomically."""
        final_dir, name = self.checkpoint_dir, checkpoint_name(step)
        keep_latest = self.config.save_only_latest_checkpoint
        self.base_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=_PART_PREFIX, dir=self.base_dir) as part_dir:
            self.checkpoint_dir, self.config.save_only_latest_checkpoint = Path(part_dir), False
            try:
                super().save_checkpoint(step)
            finally:
                self.checkpoint_dir, self.config.save_only_latest_checkpoint = final_dir, keep_latest
            final_dir.mkdir(parents=True, exist_ok=True)
            os.replace(Path(part_dir) / name, final_dir / name)
        if keep_latest:
            kept = {name, *(checkpoint_name(n - 1) for n in self.config.save_at_steps)}
            for old in final_dir.glob("*.ckpt"):
                if old.name not in kept:
                    old.unlink()

    def _load_checkpoint(self) -> None:
        """Loads the model, and unless steps restart the step and the optimisers' state; may be of a run on other images."""
        with one_line_errors():
            path = self._find_checkpoint()
        if path is None:
            CONSOLE.print("No checkpoint to load, so training from scratch.")
            return
        loaded = torch.load(path, map_location="cpu")
        self.pipeline.load_pipeline(loaded["pipeline"], loaded["step"])
        if self.config.restart_steps:
            self.pipeline.restart_steps(loaded["step"])
        else:
            self._start_step = loaded["step"] + 1
            self._load_optimizers(loaded)
        CONSOLE.print(f"Loaded {path}; training goes on with step {self._start_step}.")

    def _load_optimizers(self, loaded: dict[str, Any]) -> None:
        for name, optimizer in self.optimizers.optimizers.items():
            state = loaded["optimizers"].get(name)
            if state is None or not load_optimizer(optimizer, state, self.pipeline.renewed):
                CONSOLE.print(f"The checkpoint has no optimiser for these parameters: {name} begins with a new one.")
            elif self.config.load_scheduler and name in loaded.get("schedulers", {}):
                self.optimizers.schedulers[name].load_state_dict(loaded["schedulers"][name])
                if name in self._following:  # it has the steps before behind it
                    self._following[name].max_steps = max(self._start_step + self.config.max_num_iterations, 1)
        self.grad_scaler.load_state_dict(loaded["scalers"])

    def _find_checkpoint(self) -> Path | None:
        """The checkpoint that the options ask for, checked."""
        folder, path = self.config.load_dir, self.config.load_checkpoint
        if folder is not None:
            if not folder.is_dir():
                raise InputError(
                    f"--load-dir {folder} does not exist{near_path(folder)}: give a run's nerfstudio_models folder"
                )
            found = checkpoints_in(folder)
            if not found:
                raise InputError(f"--load-dir {folder} holds no step-*.ckpt: give a run's nerfstudio_models folder")
            step = self.config.load_step
            path = found[max(found)] if step is None else folder / checkpoint_name(step)
        if path is not None:
            check_checkpoint_file(path)
        elif self.config.restart_steps:
            raise InputError("--restart-steps: there is nothing to restart: give --load-dir or --load-checkpoint")
        return path
