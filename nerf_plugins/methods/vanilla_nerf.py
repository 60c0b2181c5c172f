"""vanilla-nerf-custom: the field of the NeRF paper, marched through an occupancy grid.

Source: Mildenhall et al., NeRF: Representing Scenes as Neural Radiance Fields for View Synthesis, 2020.
"""

from nerf_plugins.engine.presets import by_device
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import march_for_mlp, mlp_group, static_grid
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "vanilla-nerf-custom",
    "Vanilla NeRF (8x256 MLP), marched through an occupancy grid by Warp kernels; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="auto",
        occupancy=march_for_mlp(static_grid(), samples_per_batch=by_device(1 << 13, 1 << 18)),
    ),
    groups={
        "fields": mlp_group(),
    },
    steps=10_000,
    n_rays=by_device(256, 8192),
    crop_steps=500,  # the others do not take the whole scene for background
)
