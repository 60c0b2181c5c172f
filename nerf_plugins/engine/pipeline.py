"""nerfstudio's pipeline, with errors of one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from nerfstudio.pipelines.base_pipeline import VanillaPipeline, VanillaPipelineConfig

from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.engine.memory import keep_freed_memory
from nerf_plugins.errors import InputError


@dataclass
class NerfPipelineConfig(VanillaPipelineConfig):
    """Pipeline"""

    _target: type = field(default_factory=lambda: NerfPipeline)
    """target class to instantiate"""
    datamanager: NerfDataManagerConfig = field(default_factory=NerfDataManagerConfig)
    """specifies the datamanager config"""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the program with the message, not a traceback, where the user's input is at fault."""
    try:
        yield
    except InputError as e:
        raise SystemExit(f"nerf-plugins: {e}") from e
    except FileNotFoundError as e:
        raise SystemExit(f"nerf-plugins: no such file or folder: {e.filename or e}. Check --data.") from e


class NerfPipeline(VanillaPipeline):
    """Data manager and model; what is wrong with the data or a checkpoint ends the program in one line."""

    config: NerfPipelineConfig

    def __init__(self, config: NerfPipelineConfig, device: str | torch.device, *args: Any, **kwargs: Any) -> None:
        if torch.device(device).type == "cpu":
            keep_freed_memory()
        with one_line_errors():
            self._check_data_path(config)
            super().__init__(config, str(device), *args, **kwargs)

    @staticmethod
    def _check_data_path(config: NerfPipelineConfig) -> None:
        data = config.datamanager.data
        if data is not None and not data.exists():
            raise InputError(f"--data {data} does not exist: give the folder of a dataset")

    def load_pipeline(self, loaded_state: dict[str, Any], step: int) -> None:
        """Loads a checkpoint's model; one of another architecture is refused before anything is overwritten."""
        with one_line_errors():
            self._check_state(loaded_state)
            super().load_pipeline(loaded_state, step)

    def _check_state(self, loaded_state: dict[str, Any]) -> None:
        own = {f"_model.{key}": value for key, value in self.model.state_dict().items()}
        loaded = {key.replace("module.", ""): value for key, value in loaded_state.items() if "_model." in key}
        advice = "it was made with other options or another method: use the config.yml beside it"
        for key in sorted(own.keys() ^ loaded.keys()):
            what = "lacks" if key in own else "has the unknown"
            raise InputError(f"the checkpoint {what} {key.removeprefix('_model.')}: {advice}")
        for key, value in own.items():
            if loaded[key].shape != value.shape:
                raise InputError(
                    f"the checkpoint's {key.removeprefix('_model.')} has shape {tuple(loaded[key].shape)}, the model's "
                    f"{tuple(value.shape)}: {advice}"
                )
