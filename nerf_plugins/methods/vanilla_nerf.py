"""vanilla-nerf-custom: the field of the NeRF paper, marched through an occupancy grid.

Source: Mildenhall et al., NeRF: Representing Scenes as Neural Radiance Fields for View Synthesis, 2020.
"""

from nerfstudio.engine.optimizers import AdamOptimizerConfig

from nerf_plugins.engine.presets import by_device
from nerf_plugins.engine.schedulers import WarmupExponentialSchedulerConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import march_for_mlp, static_grid
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "vanilla-nerf-custom",
    "Vanilla NeRF (8x256 MLP), marched through an occupancy grid by Warp kernels; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="auto",
        occupancy=march_for_mlp(static_grid(), samples_per_batch=by_device(1 << 13, 1 << 18)),
    ),
    groups={
        "fields": {
            "optimizer": AdamOptimizerConfig(lr=1e-3, eps=1e-8),
            "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=250, lr_final=1e-4),
        },
    },
    steps=10_000,
    n_rays=by_device(256, 8192),
    crop_steps=500,  # the others do not take the whole scene for background
)
