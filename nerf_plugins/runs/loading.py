"""Trained runs on the disk: their config.yml and checkpoints, checked before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml
from nerfstudio.configs.method_configs import all_methods
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.utils.eval_utils import eval_setup

from nerf_plugins.errors import InputError, near_path
from nerf_plugins.runs.checkpoints import checkpoints_in

_NAME = "config.yml"
NO_CHECKPOINT = "has no checkpoint; train first, and call this from the folder that the training was started in"


def config_file(given: Path) -> Path:
    """The config.yml that is meant: the file, or that of a run's folder. It need not be there.

    Raises:
        InputError: a folder has none; names the newest of the runs below it.
    """
    if not given.is_dir():
        return given
    if (given / _NAME).is_file():
        return given / _NAME
    below = [path for depth in range(1, 4) for path in given.glob("*/" * depth + _NAME)]
    newest = max(below, key=lambda path: path.stat().st_mtime, default=None)
    hint = f", whose newest run is {newest}" if newest else ""
    raise InputError(f"--load-config {given}: is a folder without {_NAME}{hint}; give the {_NAME} of a run")


def read_config(load_config: Path) -> TrainerConfig:
    """The config.yml of a run, with the files that lie beside it (`beside`).

    Raises:
        InputError: it is none, or of a method that is not installed.
    """
    advice = "give the config.yml of a run"
    if not load_config.is_file():
        raise InputError(f"--load-config {load_config}: there is no such file{near_path(load_config)}; {advice}")
    try:
        config = yaml.load(load_config.read_text(encoding="utf-8"), Loader=yaml.Loader)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, ImportError, AttributeError, TypeError, ValueError) as e:
        line = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise InputError(f"--load-config {load_config}: cannot be read ({line}); {advice}") from e
    if not isinstance(config, TrainerConfig) or config.method_name not in all_methods:
        raise InputError(f"--load-config {load_config}: is of no method that is installed; {advice}")
    return beside(config, load_config)


def beside(config: TrainerConfig, load_config: Path) -> TrainerConfig:
    """Lets a config point at the checkpoints, and the copy of the split file, that lie beside its config.yml.

    nerfstudio looks where the run was trained, seen from the working directory; a run that was moved or copied, or is looked at from
    elsewhere, would not be found there, or another one would.

    Args:
        config: changed in place, where there are checkpoints beside its file and nerfstudio would take others.
        load_config: the file.

    Returns:
        The config.
    """
    here, trained = load_config.absolute().parent, config.get_base_dir()
    models = here / config.relative_model_dir
    if here.resolve() == trained.resolve() or not checkpoints_in(models):
        return config
    config.relative_model_dir = models  # absolute, so that the folder of the training no longer counts
    subset = getattr(config.pipeline.datamanager, "subset", None)
    given = getattr(subset, "split_file", None)
    if subset is not None and given is not None and given.parent == trained and (here / given.name).is_file():
        config.pipeline.datamanager.subset = replace(subset, split_file=here / given.name)  # type: ignore[attr-defined]
    return config


def load_pipeline(
    load_config: Path, test_mode: Literal["test", "val", "inference"], step: int | None = None
) -> tuple[TrainerConfig, Any]:
    """The config and the pipeline of a run with a checkpoint's weights, by nerfstudio's ``eval_setup``.

    Args:
        load_config: its config.yml, checked by `read_config`.
        test_mode: which images are loaded, as nerfstudio has it.
        step: in the name of the checkpoint; None: of the last.
    """

    def update(config: TrainerConfig) -> TrainerConfig:
        config.load_step = step  # not the one that the run's own training began with
        return beside(config, load_config)

    config, pipeline, _, _ = eval_setup(load_config, test_mode=test_mode, update_config_callback=update)
    return config, pipeline


def require_checkpoint(config: TrainerConfig) -> None:
    """Checks that a run has a checkpoint where nerfstudio will look for it.

    Raises:
        InputError: it has none.
    """
    folder = config.get_checkpoint_dir()
    if not checkpoints_in(folder):
        raise InputError(f"{folder}: {NO_CHECKPOINT}")
