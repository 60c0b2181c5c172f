"""k-planes-custom: products of planes at several scales; of a moving scene, planes with time too.

Source: Fridovich-Keil et al., K-Planes: Explicit Radiance Fields in Space, Time, and Appearance, 2023.
"""

from nerf_plugins.fields.k_planes import KPlanesConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import hash_group, march_for_hash, moving_grid, planes
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "k-planes-custom",
    "K-Planes: products of planes in Warp, for scenes that stand still or move; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="auto",
        occupancy=march_for_hash(moving_grid()),
        field=KPlanesConfig(
            encoding=planes(),
        ),
    ),
    groups={
        "fields": hash_group(),
    },
    steps=5_000,
)
