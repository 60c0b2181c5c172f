"""nerfstudio's trainer, with checkpoints that are whole or not there."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from nerfstudio.engine.trainer import Trainer, TrainerConfig
from nerfstudio.utils.decorators import check_main_thread

from nerf_plugins.engine.pipeline import one_line_errors
from nerf_plugins.errors import InputError


@dataclass
class NerfTrainerConfig(TrainerConfig):
    """Training"""

    _target: type = field(default_factory=lambda: NerfTrainer)
    """target class to instantiate"""

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
        raise InputError(f"checkpoint {path} does not exist")
    if not zipfile.is_zipfile(path):
        raise InputError(f"checkpoint {path} is truncated or no checkpoint: delete it, the one before it is then used")


class NerfTrainer(Trainer):
    """Writes a checkpoint beside its place and moves it there, so that a kill never leaves half of one."""

    config: NerfTrainerConfig

    @check_main_thread
    def save_checkpoint(self, step: int) -> None:
        """Saves as nerfstudio does, atomically."""
        final_dir, self.checkpoint_dir = self.checkpoint_dir, self.base_dir / f".checkpoint-{os.getpid()}"
        keep_latest, self.config.save_only_latest_checkpoint = self.config.save_only_latest_checkpoint, False
        try:
            super().save_checkpoint(step)
        finally:
            part_dir, self.checkpoint_dir = self.checkpoint_dir, final_dir
            self.config.save_only_latest_checkpoint = keep_latest
        final_dir.mkdir(parents=True, exist_ok=True)
        for part in part_dir.glob("*.ckpt"):
            os.replace(part, final_dir / part.name)
        part_dir.rmdir()
        if keep_latest:
            for old in final_dir.glob("*.ckpt"):
                if old.name != f"step-{step:09d}.ckpt":
                    old.unlink()

    def _load_checkpoint(self) -> None:
        with one_line_errors():
            self._check_checkpoint_options()
            super()._load_checkpoint()

    def _check_checkpoint_options(self) -> None:
        folder, path = self.config.load_dir, self.config.load_checkpoint
        if folder is not None:
            if not folder.is_dir():
                raise InputError(f"--load-dir {folder} does not exist: give a run's nerfstudio_models folder")
            found = sorted(folder.glob("step-*.ckpt"))
            if not found:
                raise InputError(f"--load-dir {folder} holds no step-*.ckpt: give a run's nerfstudio_models folder")
            step = self.config.load_step
            path = found[-1] if step is None else folder / f"step-{step:09d}.ckpt"
        if path is not None:
            check_checkpoint_file(path)


def default_device() -> Literal["cpu", "cuda"]:
    """The device a machine can train on."""
    return "cuda" if torch.cuda.is_available() else "cpu"
