"""vanilla-nerf-custom: the field of the NeRF paper, marched through an occupancy grid.

Source: Mildenhall et al., NeRF: Representing Scenes as Neural Radiance Fields for View Synthesis, 2020.
"""

from nerfstudio.engine.optimizers import AdamOptimizerConfig

from nerf_plugins.engine.presets import by_device
from nerf_plugins.engine.schedulers import WarmupExponentialSchedulerConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.models.nerf import NerfModelConfig
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.ray_budget import RayBudgetConfig

method = make_method(
    "vanilla-nerf-custom",
    "Vanilla NeRF (8x256 MLP), marched through an occupancy grid by Warp kernels; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        # What fills the device: a step of some tens of milliseconds on two CPU cores, of some milliseconds on a large GPU.
        occupancy=OccupancySamplerConfig(
            grid=OccupancyGridConfig(resolution=by_device(96, 128), warmup_steps=by_device(128, 256)),
            budget=RayBudgetConfig(samples_per_batch=by_device(1 << 13, 1 << 18)),
            steps_per_diagonal=by_device(400, 1024),
        ),
    ),
    groups={
        "fields": {
            "optimizer": AdamOptimizerConfig(lr=1e-3, eps=1e-8),
            "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=250, lr_final=1e-4),
        },
    },
    steps=10_000,
    crop_steps=500,  # the others do not take the whole scene for background
)
