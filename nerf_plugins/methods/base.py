"""What all methods have in common: trainer, pipeline, data manager, viewer, learnt camera poses."""

from __future__ import annotations

from typing import Literal, TypedDict

from nerfstudio.configs.base_config import MachineConfig, ViewerConfig
from nerfstudio.engine.optimizers import OptimizerConfig
from nerfstudio.models.base_model import ModelConfig
from nerfstudio.plugins.types import MethodSpecification

from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.data.pixel_sampler import CentreCropPixelSamplerConfig
from nerf_plugins.engine.optimizers import FusedAdamOptimizerConfig
from nerf_plugins.engine.pipeline import NerfPipelineConfig
from nerf_plugins.engine.presets import default_device
from nerf_plugins.engine.schedulers import TrainingLengthSchedulerConfig, WarmupExponentialSchedulerConfig
from nerf_plugins.engine.trainer import PluginTrainerConfig


class Group(TypedDict):
    """How one group of parameters is trained."""

    optimizer: OptimizerConfig
    scheduler: TrainingLengthSchedulerConfig | None


def make_method(
    name: str,
    description: str,
    model: ModelConfig,
    groups: dict[str, Group],
    steps: int,
    n_rays: int = 512,
    crop_steps: int = 0,
    detail_share: float = 0.0,
    pixel_weights: Literal["even", "area"] = "even",
) -> MethodSpecification:
    """A method for nerfstudio, whose schedules are as long as its training.

    Args:
        name: for ns-train.
        description: for ns-train's help.
        model: its configuration.
        groups: how each parameter group of field, sampler and model is trained ("fields", unless they say otherwise).
        steps: of the training, unless the user says otherwise.
        n_rays: rays of a batch, the first one where a sampler lets their number follow a budget.
        crop_steps: steps in which only the centre of the images is seen.
        detail_share: of a batch's rays, those that are drawn where the photos have detail.
        pixel_weights: how much a pixel counts in the loss.
    """
    poses: Group = {
        "optimizer": FusedAdamOptimizerConfig(lr=1e-3, eps=1e-15),
        "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=1, lr_final=1e-4),
    }
    pipeline = NerfPipelineConfig(
        datamanager=NerfDataManagerConfig(
            train_num_rays_per_batch=n_rays,
            eval_num_rays_per_batch=1024,
            pixel_sampler=CentreCropPixelSamplerConfig(crop_steps=crop_steps, detail_share=detail_share),
            pixel_weights=pixel_weights,
        ),
        model=model,
    )
    return MethodSpecification(
        config=PluginTrainerConfig(
            method_name=name,
            machine=MachineConfig(device_type=default_device()),
            steps_per_eval_batch=500,
            steps_per_eval_image=1000,
            steps_per_eval_all_images=1_000_000,
            steps_per_save=1000,
            max_num_iterations=steps,
            pipeline=pipeline,
            optimizers={**groups, "camera_opt": poses},
            viewer=ViewerConfig(num_rays_per_chunk=1 << 14),
            vis="viewer",
        ),
        description=description,
    )
