"""moving-nerf-custom: a hash encoding for what stands still and planes with the time for what moves; the one to take for moving scenes.

Source: Müller et al., Instant Neural Graphics Primitives, 2022; Fridovich-Keil et al., K-Planes, 2023.
"""

from nerf_plugins.fields.moving import MovingFieldConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import hash_group, hash_table, march_for_hash, moving_grid, planes
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "moving-nerf-custom",
    "NeRF on a hash encoding and planes with the time, for scenes that move: the fast one; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="auto",
        occupancy=march_for_hash(moving_grid()),
        field=MovingFieldConfig(
            encoding=planes(),
            table=hash_table(),
        ),
    ),
    groups={
        "fields": hash_group(),
    },
    steps=10_000,
)
