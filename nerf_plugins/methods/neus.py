"""neus-custom: the field of the NeuS paper, sampled at its surface through an occupancy grid.

Source: Wang et al., NeuS: Learning Neural Implicit Surfaces by Volume Rendering, 2021.
"""

from nerf_plugins.engine.presets import by_device
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import march_to_surface, mlp_group, variance_group
from nerf_plugins.models.neus import NeuSModelConfig

method = make_method(
    "neus-custom",
    "NeuS (8x256 MLP) with or without masks, sampled at the surface by marching an occupancy grid; on CUDA and CPU, no compiler.",
    NeuSModelConfig(
        surface=march_to_surface(samples_per_batch=by_device(1 << 12, 1 << 17)),
    ),
    groups={
        "fields": mlp_group(lr=5e-4, lr_final=5e-5),
        "variance": variance_group(),
    },
    steps=10_000,
)
