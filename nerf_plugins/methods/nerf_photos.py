"""photos-nerf-custom: NeRF on a hash encoding for people's own photos: cones, proposals, and no end to the world.

Source: Barron et al., Mip-NeRF 360, 2022 (proposals, contraction, distortion); Zip-NeRF, 2023 (damped hash features); Müller et al.,
Instant Neural Graphics Primitives, 2022.
"""

from nerf_plugins.engine.presets import by_device
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import hash_group, hash_table
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "photos-nerf-custom",
    "NeRF for your own photos, indoors or out: hash encoding in Warp that knows the pixels' cones; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="proposal",
        calm_distance=1.0,
        field=NeRFHashConfig(
            cones=True,
            encoding=hash_table(),
        ),
    ),
    groups={
        "fields": hash_group(),
    },
    steps=10_000,
    n_rays=by_device(512, 8192),
)
