"""What nerfstudio finds through the entry points: the methods of this package."""

from __future__ import annotations

from nerfstudio.configs.base_config import MachineConfig, ViewerConfig
from nerfstudio.engine.optimizers import AdamOptimizerConfig
from nerfstudio.plugins.types import MethodSpecification

from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.engine.pipeline import NerfPipelineConfig
from nerf_plugins.engine.schedulers import WarmupExponentialSchedulerConfig
from nerf_plugins.engine.trainer import NerfTrainerConfig, default_device
from nerf_plugins.models.nerf import NerfModelConfig
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.video import ensure_ffmpeg

ensure_ffmpeg()  # ns-render writes videos; nothing of ours runs before it but this import

_DEVICE = default_device()
# What fills the device: a step of some tens of milliseconds on two CPU cores, of some milliseconds on a large GPU.
_OCCUPANCY = {
    "cpu": OccupancySamplerConfig(samples_per_batch=1 << 13),
    "cuda": OccupancySamplerConfig(
        grid=OccupancyGridConfig(resolution=128, warmup_steps=256),
        steps_per_diagonal=1024,
        samples_per_batch=1 << 18,
    ),
}[_DEVICE]

vanilla_nerf_custom = MethodSpecification(
    config=NerfTrainerConfig(
        method_name="vanilla-nerf-custom",
        machine=MachineConfig(device_type=_DEVICE),
        steps_per_eval_batch=500,
        steps_per_eval_image=1000,
        steps_per_eval_all_images=1_000_000,
        steps_per_save=1000,
        max_num_iterations=10_000,
        pipeline=NerfPipelineConfig(
            datamanager=NerfDataManagerConfig(train_num_rays_per_batch=512, eval_num_rays_per_batch=1024),
            model=NerfModelConfig(occupancy=_OCCUPANCY),
        ),
        optimizers={
            "fields": {
                "optimizer": AdamOptimizerConfig(lr=1e-3, eps=1e-8),
                "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=250, lr_final=1e-4, max_steps=10_000),
            }
        },
        viewer=ViewerConfig(num_rays_per_chunk=1 << 14),
        vis="viewer",
    ),
    description="Vanilla NeRF (8x256 MLP), marched through an occupancy grid by Warp kernels; on CUDA and CPU, no compiler.",
)
