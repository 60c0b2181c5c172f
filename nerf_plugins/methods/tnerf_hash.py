"""tnerf-hash-custom: a radiance field on a hash encoding whose network is told the time: the baseline of moving scenes.

Source: T-NeRF in Pumarola et al., D-NeRF, 2021, section 5; Müller et al., Instant Neural Graphics Primitives, 2022.
"""

from nerf_plugins.fields.timed_hash import TimedHashConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import hash_group, hash_table, march_for_hash, moving_grid
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "tnerf-hash-custom",
    "NeRF on a hash encoding with the time as an input: the baseline for moving scenes; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="auto",
        occupancy=march_for_hash(moving_grid()),
        field=TimedHashConfig(
            encoding=hash_table(),
        ),
    ),
    groups={
        "fields": hash_group(),
    },
    steps=10_000,
)
