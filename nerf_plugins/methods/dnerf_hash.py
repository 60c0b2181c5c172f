"""dnerf-hash-custom: a small smooth displacement network before a radiance field on a hash encoding.

Source: Pumarola et al., D-NeRF, 2021; Müller et al., Instant Neural Graphics Primitives, 2022; Park et al., Nerfies, 2021 (coarse to fine).
"""

from nerf_plugins.engine.optimizers import FusedAdamOptimizerConfig
from nerf_plugins.engine.presets import by_device
from nerf_plugins.engine.schedulers import WarmupExponentialSchedulerConfig
from nerf_plugins.fields.deformed import DeformedFieldConfig
from nerf_plugins.fields.encodings import HashEncodingConfig, WindowedEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.fields.warps.displacement import DisplacementConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.models.nerf import NerfModelConfig
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.ray_budget import RayBudgetConfig

method = make_method(
    "dnerf-hash-custom",
    "A displacement network before NeRF on a hash encoding, for moving scenes: the fast one; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        occupancy=OccupancySamplerConfig(
            # A cell is visited at one random time, and remembers the densest for long.
            grid=OccupancyGridConfig(resolution=by_device(96, 128), warmup_steps=by_device(256, 512), decay=0.99),
            budget=RayBudgetConfig(
                samples_per_batch=by_device(1 << 13, 1 << 18), max_rays_per_batch=by_device(1 << 13, 1 << 14)
            ),
            steps_per_diagonal=by_device(400, 1024),
            min_transmittance=by_device(1e-3, 0.0),
        ),
        field=DeformedFieldConfig(
            warp=DisplacementConfig(
                D=4,
                W=128,
                skips=(),
                position=WindowedEncodingConfig(n_frequencies=4, start_frequencies=1.0, share=0.5),
                time=WindowedEncodingConfig(n_frequencies=6),
            ),
            # Fine levels come later: their gradient would tear the warp while it is still far off.
            canonical=NeRFHashConfig(
                encoding=HashEncodingConfig(
                    log2_table_size=by_device(16, 19),
                    max_resolution=by_device(1024, 2048),
                    interpolation="smoothstep",
                    start_levels=4,
                )
            ),
        ),
    ),
    groups={
        "fields": {
            "optimizer": FusedAdamOptimizerConfig(lr=1e-2, eps=1e-15),
            "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=50, lr_final=1e-3),
        },
        "warp": {
            "optimizer": FusedAdamOptimizerConfig(lr=5e-3, eps=1e-15),
            "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=250, lr_final=5e-4),
        },
    },
    steps=10_000,
)
