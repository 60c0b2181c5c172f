"""nerfstudio's pipeline: data manager and model, and checkpoints that fit other images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.pipelines.base_pipeline import VanillaPipeline, VanillaPipelineConfig
from nerfstudio.utils.rich_utils import CONSOLE
from torch import Tensor
from torch.nn import Parameter
from torch.nn.parallel import DistributedDataParallel

from nerf_plugins.data.crop import make_crop_box
from nerf_plugins.data.datamanager import NerfDataManager, NerfDataManagerConfig
from nerf_plugins.engine.cost import TrainingCost
from nerf_plugins.engine.driver import check_driver
from nerf_plugins.engine.finetuning import differing_worlds, fit_to_images, per_image_keys
from nerf_plugins.engine.memory import keep_freed_memory
from nerf_plugins.engine.model_state import FORMAT, PREFIX, check_model_state, split_state
from nerf_plugins.engine.one_line_errors import one_line_errors
from nerf_plugins.engine.styled_paths import honour_styles
from nerf_plugins.engine.timeless_paths import refuse_timeless_paths
from nerf_plugins.errors import InputError, near_path
from nerf_plugins.fields.appearance import kind_of, settle_appearance
from nerf_plugins.fields.codes import codes_in
from nerf_plugins.fields.growing import take_shapes
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


class NerfPipeline(VanillaPipeline):
    """Data manager and model; what is wrong with the data or a checkpoint ends the program in one line.

    Its checkpoints name the training images, so that one can be used with others.
    """

    config: NerfPipelineConfig
    cost: TrainingCost
    datamanager: NerfDataManager
    steps_before: int = 0
    """Steps that the model was trained for before the trainer's step 0; its own schedules count them in."""
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
            if (said := check_driver(device)) is not None:
                CONSOLE.print(said)
            super().__init__(config, str(device), *args, **kwargs)
            self._check_times()
            self.cost = TrainingCost(device)
            self._send_no_buffers()
            if config.crop_box is not None:
                crop = make_crop_box(config.crop_box, self.datamanager.train_dataparser_outputs)
                self.model.collider = crop.to(device)  # type: ignore[assignment]
        if self.test_mode == "val":
            self._settle_appearance()
        honour_styles(self.datamanager.train_image_names, bool(codes_in(self.model)))
        refuse_timeless_paths(self._needs_times)
        self.first_view = FirstView.of_dataset(self.datamanager.train_dataset)

    def _send_no_buffers(self) -> None:
        """The grid keeps itself equal, the other buffers never change: on several GPUs nothing has to be sent in each step."""
        if isinstance(self._model, DistributedDataParallel):
            self._model.broadcast_buffers = False

    def _wrap_again(self) -> None:
        """On several GPUs what sums up the gradients is laid out for the parameters that there were when it was made: where some have been
        replaced, or have another shape, it is made anew."""
        before: Any = self._model
        if not isinstance(before, DistributedDataParallel):
            return
        model, device_ids = before.module, before.device_ids
        del before.reducer, before.logger  # with its hooks on the parameters that stay
        wrapped: Any = type(before)(model, device_ids=device_ids, find_unused_parameters=True)
        self._model = wrapped
        self._send_no_buffers()

    def _settle_appearance(self) -> None:
        """Writes into the configuration what was left to the photos, so that the run's config.yml says it; and says it."""
        kind, metadata = kind_of(self.model), self.datamanager.train_dataset.metadata
        left_open = settle_appearance(getattr(self.config.model, "field", None), kind)
        if left_open and kind != "none":
            off = " ".join(f"--pipeline.model.field.{option} none" for option in left_open)
            CONSOLE.print(
                f"Photos from nearby differ in brightness by {metadata['exposure_spread']:.2g} stops (median): each gets a code of its own "
                f"that its colours see. Off: {off}",
                soft_wrap=True,
            )

    @staticmethod
    def _check_data_path(config: NerfPipelineConfig) -> None:
        data = config.datamanager.data
        if data is not None and not data.exists():
            raise InputError(f"--data {data} does not exist{near_path(data)}: give the folder of a dataset")

    @property
    def _needs_times(self) -> bool:
        return "times" in getattr(getattr(self.model, "field", None), "needs", ())

    def _check_times(self) -> None:
        if self._needs_times and self.datamanager.train_dataset.cameras.times is None:
            raise InputError(
                "the method's field needs the time of each photo, and the dataset gives none: use a dataparser that does (timed-data, "
                "dnerf-data, nerfies-data), or a method for what stands still"
            )

    def get_extra_state(self) -> dict[str, Any]:
        """What a checkpoint holds besides tensors."""
        return {
            "train_image_names": self.datamanager.train_image_names,
            "scene_from_world": self.datamanager.scene_from_world.tolist(),
            "steps_before": self.steps_before,
            "per_image": list(per_image_keys(self.model)),
            "progress": self.model.progress,
            "appearance": kind_of(self.model),
            "format": FORMAT,
            **self.cost.state(),
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Takes over how long a checkpoint's model was trained; the images are this run's own."""
        self.steps_before = state["steps_before"]
        self.cost.load(state)

    @property
    def train_seconds(self) -> float | None:
        """See :class:`TrainingCost`."""
        return self.cost.seconds

    @property
    def train_peak_mib(self) -> float:
        """See :class:`TrainingCost`."""
        return self.cost.peak_mib

    def load_pipeline(self, loaded_state: dict[str, Any], step: int) -> None:
        """Loads a checkpoint's model; one of another architecture is refused before anything is overwritten, one of other images is
        fitted to these."""
        with one_line_errors():
            extra = loaded_state.get("_extra_state", {})  # checkpoints of nerfstudio's pipeline have none
            loaded, others = split_state(loaded_state)
            self._check_appearance(extra)
            fitted = self._fit_to_images(loaded, extra)
            has_others = take_shapes(self.model, fitted)
            check_model_state(fitted, self.model.state_dict(), extra)
            state = others | {PREFIX + key: value for key, value in fitted.items()}
            model_step = step + extra.get("steps_before", 0)
            super().load_pipeline(state, model_step)
            self.model.take_up(model_step, extra.get("progress", 1.0))  # type: ignore[operator]
            if has_others:
                self._wrap_again()

    def restart_steps(self, step: int) -> None:
        """Begins to count at 0 after a checkpoint of this step was loaded."""
        self.steps_before += step + 1

    def get_train_loss_dict(self, step: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        """nerfstudio's; the step is that of the model."""
        self.cost.begin()
        return super().get_train_loss_dict(step + self.steps_before)

    def get_training_callbacks(
        self, training_callback_attributes: TrainingCallbackAttributes
    ) -> list[TrainingCallback]:
        """nerfstudio's; the steps that they see are those of the model."""
        callbacks = super().get_training_callbacks(training_callback_attributes)
        for callback in callbacks:
            callback.func = _with_steps_before(callback.func, self.steps_before)
        before = [TrainingCallbackLocation.BEFORE_TRAIN_ITERATION]
        return [*callbacks, TrainingCallback(before, self._follow_growth, update_every_num_iters=1)]

    def _follow_growth(self, step: int) -> None:
        if self.model.has_grown:
            self._wrap_again()

    def _check_appearance(self, extra: dict[str, Any]) -> None:
        own = kind_of(self.model)
        theirs = extra.get("appearance", own)
        if own != theirs and "codes" in (own, theirs):
            raise InputError(
                f"the checkpoint was trained with appearance.kind {theirs}, this run has {own}: codes are inputs of the colour network, "
                "which has them from the start or never: leave the option out, or train anew"
            )

    def _fit_to_images(self, loaded: dict[str, Tensor], extra: dict[str, Any]) -> dict[str, Tensor]:
        """A checkpoint's model with the per-image tensors of these images; says in training what is not the checkpoint's."""
        own = self.model.state_dict()
        fitted = fit_to_images(
            loaded,
            own,
            per_image_keys(self.model),
            self.datamanager.train_image_names,
            extra.get("train_image_names"),
            extra.get("per_image", []),
        )
        named = dict(self.model.named_parameters())
        self.renewed = tuple(named[key] for key in fitted.changed)
        lines = differing_worlds(loaded, own, self.datamanager.scene_from_world, extra.get("scene_from_world"))
        if self.test_mode == "val":
            for line in [*fitted.lines, *lines]:
                CONSOLE.print(line)
        return fitted.state


def _with_steps_before(function: Callable[..., Any], steps_before: int) -> Callable[..., Any]:
    def call(*args: Any, step: int, **kwargs: Any) -> Any:
        return function(*args, step=step + steps_before, **kwargs)

    return call
