"""photos-nerf-custom: NeRF on a hash encoding for people's own photos: cones, proposals, and no end to the world.

Source: Barron et al., Mip-NeRF 360, 2022 (proposals, contraction, distortion); Zip-NeRF, 2023 (damped hash features); Müller et al.,
Instant Neural Graphics Primitives, 2022.
"""

from nerf_plugins.engine.optimizers import FusedAdamOptimizerConfig
from nerf_plugins.engine.presets import by_device
from nerf_plugins.engine.schedulers import WarmupExponentialSchedulerConfig
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "photos-nerf-custom",
    "NeRF for your own photos, indoors or out: hash encoding in Warp that knows the pixels' cones; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="proposal",
        field=NeRFHashConfig(
            cones=True,
            encoding=HashEncodingConfig(log2_table_size=by_device(16, 19), max_resolution=by_device(1024, 2048)),
        ),
    ),
    groups={
        "fields": {
            "optimizer": FusedAdamOptimizerConfig(lr=1e-2, eps=1e-15),
            "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=50, lr_final=1e-3),
        },
    },
    steps=5_000,
    n_rays=by_device(512, 8192),
)
