"""mip-nerf-custom: mip-NeRF's field of cones, marched through an occupancy grid; anti-aliased at any distance and resolution.

Source: Barron et al., Mip-NeRF: A Multiscale Representation for Anti-Aliasing Neural Radiance Fields, 2021.
"""

from nerf_plugins.engine.presets import by_device
from nerf_plugins.fields.mip_nerf import MipNeRFConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import march_for_mlp, mlp_group, static_grid
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "mip-nerf-custom",
    "Mip-NeRF (8x256 MLP on the pixels' cones, anti-aliased), marched through an occupancy grid by Warp kernels; on CUDA and CPU.",
    NerfModelConfig(
        sampler="auto",
        occupancy=march_for_mlp(static_grid(), samples_per_batch=by_device(1 << 13, 1 << 18)),
        field=MipNeRFConfig(),
    ),
    groups={
        "fields": mlp_group(),
    },
    steps=10_000,
    crop_steps=500,  # the others do not take the whole scene for background
    pixel_weights="area",
)
