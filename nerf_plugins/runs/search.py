"""The runs that are to be evaluated: found on the disk and checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nerf_plugins.errors import InputError, near_path
from nerf_plugins.runs.folder import RunFolder
from nerf_plugins.runs.loading import NO_CHECKPOINT, read_config


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
        The runs, and a line for each that a search found without a checkpoint, and for each checkpoint that is truncated.

    Raises:
        InputError: nothing is there, a config.yml cannot be read, or a run that was asked for by itself has no whole checkpoint.
    """
    if not paths:
        raise InputError("no run is given: give config.yml files, or folders that hold them")
    runs, lines = {}, []
    for path in paths:
        for load_config in _configs_at(path):
            config = read_config(load_config)
            is_itself = path in (load_config, load_config.parent)
            folder = _folder(load_config, config)
            steps, broken = folder.reached(), folder.broken()
            if steps:
                runs[load_config.resolve()] = FoundRun(load_config, config, tuple(steps))
            elif is_itself:
                why = "its checkpoints are truncated: delete them and train again" if broken else NO_CHECKPOINT
                raise InputError(f"{folder.path / folder.models}: {why}")
            elif not broken:
                lines.append(f"left out {load_config.parent}: it has no checkpoint yet")
            lines += [f"left out {checkpoint}: it is truncated or no checkpoint" for checkpoint in broken]
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
        raise InputError(f"{path} does not exist{near_path(path)}: give a config.yml, or a folder that holds runs")
    found = sorted(path.rglob("config.yml"))
    if not found:
        raise InputError(f"{path} holds no config.yml: give a run's folder, or one that holds runs")
    return found
