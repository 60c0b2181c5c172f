"""nerf-hash-custom: NeRF on a multiresolution hash encoding.

Source: Müller et al., Instant Neural Graphics Primitives with a Multiresolution Hash Encoding, 2022.
"""

from nerf_plugins.engine.presets import by_device
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import hash_group, hash_table, march_for_hash, static_grid
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "nerf-hash-custom",
    "NeRF on a multiresolution hash encoding in Warp: the fast one; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="auto",
        occupancy=march_for_hash(static_grid()),
        field=NeRFHashConfig(
            encoding=hash_table(),
        ),
    ),
    groups={
        "fields": hash_group(),
    },
    steps=5_000,
    n_rays=by_device(512, 8192),
)
