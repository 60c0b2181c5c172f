"""nerfstudio's pipeline, with errors of one line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes
from nerfstudio.pipelines.base_pipeline import VanillaPipeline, VanillaPipelineConfig
from nerfstudio.utils.rich_utils import CONSOLE
from torch.nn import Parameter
from torch.nn.parallel import DistributedDataParallel

from nerf_plugins.data.crop import make_crop_box
from nerf_plugins.data.datamanager import NerfDataManager, NerfDataManagerConfig
from nerf_plugins.engine.finetuning import differing_worlds, fit_to_images
from nerf_plugins.engine.memory import keep_freed_memory, peak_mib
from nerf_plugins.errors import InputError
from nerf_plugins.viewer.first_view import FirstView


@dataclass
class NerfPipelineConfig(VanillaPipelineConfig):
    """Pipeline"""

    _target: type = field(default_factory=lambda: NerfPipeline, kw_only=True)
    """target class to instantiate"""
    datamanager: NerfDataManagerConfig = field(default_factory=NerfDataManagerConfig)
    """specifies the datamanager config"""
    crop_box: tuple[float, float, float, float, float, float] | None = None
    """x y z of the smallest and of the largest corner of a box in the input data's world units.
    What is outside is neither trained nor rendered. To cut by depth, see the model's near_plane and far_plane.
    Pixels that show what was cut off are still learnt from: mask them (alpha) where they are many."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the program with the message, not a traceback, where the user's input is at fault."""
    try:
        yield
    except InputError as e:
        raise SystemExit(f"nerf-plugins: {e}") from e
    except FileNotFoundError as e:
        advice = "Check --data and the dataparser's name."
        raise SystemExit(f"nerf-plugins: no such file or folder: {e.filename or e}. {advice}") from e
    except OSError as e:  # PIL names no file
        what = e.filename or "an image of the data"
        raise SystemExit(f"nerf-plugins: {what} cannot be read ({e.strerror or e}): replace it") from e


class NerfPipeline(VanillaPipeline):
    """Data manager and model; what is wrong with the data or a checkpoint ends the program in one line.

    Its checkpoints name the training images, so that one can be used with others.
    """

    config: NerfPipelineConfig
    datamanager: NerfDataManager
    steps_before: int = 0
    """Steps that the model was trained for before the trainer's step 0; its own schedules count them in."""
    seconds_before: float | None = 0.0
    """Wall-clock seconds of training that the loaded checkpoint took; None if it does not say."""
    peak_mib_before: float = 0.0
    """The most memory that the training of the loaded checkpoint took, in MiB."""
    began: float | None = None
    """When this process took its first step, by the monotonic clock."""
    renewed: tuple[Parameter, ...] = ()
    """Parameters that the last checkpoint did not give as they are, since its images were others."""

    def __init__(self, config: NerfPipelineConfig, device: str | torch.device, *args: Any, **kwargs: Any) -> None:
        device = torch.device(device)
        if device.type == "cpu":
            keep_freed_memory()
        elif device.index is not None:
            # nerfstudio does not: streams and events that name no device would be the first one's.
            torch.cuda.set_device(device)
        with one_line_errors():
            self._check_data_path(config)
            super().__init__(config, str(device), *args, **kwargs)
            if isinstance(self._model, DistributedDataParallel):
                # The grid keeps itself equal, the other buffers never change: nothing has to be sent in each step.
                self._model.broadcast_buffers = False
            if config.crop_box is not None:
                crop = make_crop_box(config.crop_box, self.datamanager.train_dataparser_outputs)
                self.model.collider = crop.to(device)  # type: ignore[assignment]
        self.first_view = FirstView.of_dataset(self.datamanager.train_dataset)

    @staticmethod
    def _check_data_path(config: NerfPipelineConfig) -> None:
        data = config.datamanager.data
        if data is not None and not data.exists():
            raise InputError(f"--data {data} does not exist: give the folder of a dataset")

    def get_extra_state(self) -> dict[str, Any]:
        """What a checkpoint holds besides tensors."""
        return {
            "train_image_names": self.datamanager.train_image_names,
            "scene_from_world": self.datamanager.scene_from_world.tolist(),
            "steps_before": self.steps_before,
            "train_seconds": self.train_seconds,
            "train_peak_mib": self.train_peak_mib,
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Takes over how long a checkpoint's model was trained; the images are this run's own."""
        self.steps_before = state["steps_before"]
        self.seconds_before = state.get("train_seconds")
        self.peak_mib_before = state.get("train_peak_mib", 0.0)

    @property
    def train_seconds(self) -> float | None:
        """Wall-clock seconds of training, with the evaluations in between but without loading; None where an old checkpoint was loaded."""
        if self.seconds_before is None:
            return None
        return self.seconds_before + (0.0 if self.began is None else time.monotonic() - self.began)

    @property
    def train_peak_mib(self) -> float:
        """The most memory that training took, in MiB (see `engine.memory.peak_mib`); 0 if it is not known."""
        return (
            self.peak_mib_before
            if self.began is None
            else max(self.peak_mib_before, peak_mib(torch.device(self.device)))
        )

    def load_pipeline(self, loaded_state: dict[str, Any], step: int) -> None:
        """Loads a checkpoint's model; one of another architecture is refused before anything is overwritten, one of other images is
        fitted to these."""
        with one_line_errors():
            extra = loaded_state.get("_extra_state", {})  # checkpoints of nerfstudio's pipeline have none
            state = self._fit_to_images(loaded_state, extra)
            self._check_state(state)
            super().load_pipeline(state, step + extra.get("steps_before", 0))

    def restart_steps(self, step: int) -> None:
        """Begins to count at 0 after a checkpoint of this step was loaded."""
        self.steps_before += step + 1

    def get_train_loss_dict(self, step: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        """nerfstudio's; the step is that of the model."""
        if self.began is None:
            self.began = time.monotonic()
        return super().get_train_loss_dict(step + self.steps_before)

    def get_training_callbacks(
        self, training_callback_attributes: TrainingCallbackAttributes
    ) -> list[TrainingCallback]:
        """nerfstudio's; the steps that they see are those of the model."""
        callbacks = super().get_training_callbacks(training_callback_attributes)
        for callback in callbacks:
            callback.func = _with_steps_before(callback.func, self.steps_before)
        return callbacks

    def _fit_to_images(self, loaded_state: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        """A checkpoint's state with the per-image tensors of these images; says in training what is not the checkpoint's."""
        loaded, others = {}, {}
        for key, value in loaded_state.items():
            name = key.replace("module.", "")  # a model on several GPUs is wrapped
            (loaded if name.startswith("_model.") else others)[name.removeprefix("_model.")] = value
        own = self.model.state_dict()
        fitted = fit_to_images(loaded, own, self.datamanager.train_image_names, extra.get("train_image_names"))
        named = dict(self.model.named_parameters())
        self.renewed = tuple(named[key] for key in fitted.changed)
        lines = differing_worlds(loaded, own, self.datamanager.scene_from_world, extra.get("scene_from_world"))
        if self.test_mode == "val":
            for line in [*fitted.lines, *lines]:
                CONSOLE.print(line)
        return others | {f"_model.{key}": value for key, value in fitted.state.items()}

    def _check_state(self, loaded_state: dict[str, Any]) -> None:
        own = {f"_model.{key}": value for key, value in self.model.state_dict().items()}
        loaded = {key: value for key, value in loaded_state.items() if "_model." in key}
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


def _with_steps_before(function: Callable[..., Any], steps_before: int) -> Callable[..., Any]:
    def call(*args: Any, step: int, **kwargs: Any) -> Any:
        return function(*args, step=step + steps_before, **kwargs)

    return call
