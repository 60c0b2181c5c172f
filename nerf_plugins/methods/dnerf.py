"""dnerf-custom: the networks of the D-NeRF paper, marched through an occupancy grid of all times.

Source: Pumarola et al., D-NeRF: Neural Radiance Fields for Dynamic Scenes, 2021.
"""

from nerf_plugins.engine.presets import by_device
from nerf_plugins.fields.deformed import DeformedFieldConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import march_for_mlp, mlp_group, moving_grid
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "dnerf-custom",
    "D-NeRF (a displacement MLP before the NeRF MLP, 8x256 each) for moving scenes; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        occupancy=march_for_mlp(moving_grid(), samples_per_batch=by_device(1 << 13, 1 << 17)),
        field=DeformedFieldConfig(),
    ),
    groups={
        "fields": mlp_group(),
        "warp": mlp_group(lr=5e-4, lr_final=5e-5),
    },
    steps=20_000,
    crop_steps=500,  # see vanilla_nerf.py
)
