"""dnerf-hash-custom: a small smooth displacement network before a radiance field on a hash encoding.

Source: Pumarola et al., D-NeRF, 2021; Müller et al., Instant Neural Graphics Primitives, 2022; Park et al., Nerfies, 2021 (coarse to fine).
"""

from nerf_plugins.engine.optimizers import FusedAdamOptimizerConfig
from nerf_plugins.engine.schedulers import WarmupExponentialSchedulerConfig
from nerf_plugins.fields.deformed import DeformedFieldConfig
from nerf_plugins.fields.encodings import WindowedEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.fields.warps.displacement import DisplacementConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import hash_group, hash_table, march_for_hash, moving_grid
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "dnerf-hash-custom",
    "A displacement network before NeRF on a hash encoding, for moving scenes: the fast one; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        occupancy=march_for_hash(moving_grid()),
        field=DeformedFieldConfig(
            warp=DisplacementConfig(
                D=4,
                W=128,
                skips=(),
                position=WindowedEncodingConfig(n_frequencies=4, start_frequencies=1.0, share=0.5),
                time=WindowedEncodingConfig(n_frequencies=6),
            ),
            # Fine levels come later: their gradient would tear the warp while it is still far off.
            canonical=NeRFHashConfig(encoding=hash_table(interpolation="smoothstep", start_levels=4)),
        ),
    ),
    groups={
        "fields": hash_group(),
        "warp": {
            "optimizer": FusedAdamOptimizerConfig(lr=5e-3, eps=1e-15),
            "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=250, lr_final=5e-4),
        },
    },
    steps=10_000,
)
