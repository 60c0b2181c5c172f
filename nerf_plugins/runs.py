"""Trained runs on the disk: their config.yml and checkpoints, checked before anything heavy is loaded."""

from __future__ import annotations

from pathlib import Path

import yaml
from nerfstudio.configs.method_configs import all_methods
from nerfstudio.engine.trainer import TrainerConfig

from nerf_plugins.errors import InputError


def read_config(load_config: Path) -> TrainerConfig:
    """The config.yml of a run.

    Raises:
        InputError: it is none, or of a method that is not installed.
    """
    advice = "give the config.yml of a run"
    if not load_config.is_file():
        raise InputError(f"--load-config {load_config}: there is no such file; {advice}")
    try:
        config = yaml.load(load_config.read_text(encoding="utf-8"), Loader=yaml.Loader)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, ImportError, AttributeError, TypeError, ValueError) as e:
        line = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise InputError(f"--load-config {load_config}: cannot be read ({line}); {advice}") from e
    if not isinstance(config, TrainerConfig) or config.method_name not in all_methods:
        raise InputError(f"--load-config {load_config}: is of no method that is installed; {advice}")
    return config


def require_checkpoint(config: TrainerConfig) -> None:
    """Checks that a run has a checkpoint where nerfstudio will look for it.

    Raises:
        InputError: it has none.
    """
    folder = config.get_checkpoint_dir()
    if not any(folder.glob("step-*.ckpt")):
        raise InputError(
            f"{folder}: has no checkpoint; train first, and call this from the folder that the training was started in"
        )
