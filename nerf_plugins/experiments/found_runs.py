"""The runs that are to be evaluated: found on the disk and checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nerf_plugins.errors import InputError
from nerf_plugins.experiments.run_folder import RunFolder
from nerf_plugins.runs import read_config, require_checkpoint


@dataclass(frozen=True)
class FoundRun:
    """A run with checkpoints."""

    load_config: Path
    """Its config.yml."""
    config: Any
    """nerfstudio's TrainerConfig."""
    steps: tuple[int, ...]
    """It has a checkpoint after each of these many steps, ascending."""

    @property
    def folder(self) -> RunFolder:
        """Where its checkpoints are."""
        return _folder(self.load_config, self.config)

    @property
    def name(self) -> str:
        """Experiment, method and folder, as nerfstudio lays runs out."""
        return "/".join(self.load_config.absolute().parts[-4:-1])


def find_runs(paths: Sequence[Path]) -> tuple[list[FoundRun], list[str]]:
    """The runs at paths, each once, in the paths' and then in alphabetical order.

    Args:
        paths: config.yml files, and folders that are searched for them.

    Returns:
        The runs, and a line for each that a search found without a checkpoint.

    Raises:
        InputError: nothing is there, a config.yml cannot be read, or a run that was asked for by itself has no checkpoint.
    """
    if not paths:
        raise InputError("no run is given: give config.yml files, or folders that hold them")
    runs, lines = {}, []
    for path in paths:
        for load_config in _configs_at(path):
            config = read_config(load_config)
            is_itself = path in (load_config, load_config.parent)
            folder = _folder(load_config, config)
            steps = folder.reached()
            if not steps and not is_itself:
                lines.append(f"left out {load_config.parent}: it has no checkpoint yet")
                continue
            require_checkpoint(config)
            if not steps:
                raise InputError(
                    f"{folder.path / folder.models}: its checkpoints are truncated: delete them and train again"
                )
            runs[load_config.resolve()] = FoundRun(load_config, config, tuple(steps))
    if not runs:
        raise InputError(f"{', '.join(map(str, paths))}: no run there has a checkpoint; train first")
    return list(runs.values()), lines


def _folder(load_config: Path, config: Any) -> RunFolder:
    is_beside = config.relative_model_dir.is_absolute()  # `read_config` found the checkpoints there
    return RunFolder(load_config.parent if is_beside else config.get_base_dir(), str(config.relative_model_dir))


def _configs_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path} does not exist: give a config.yml, or a folder that holds runs")
    found = sorted(path.rglob("config.yml"))
    if not found:
        raise InputError(f"{path} holds no config.yml: give a run's folder, or one that holds runs")
    return found
