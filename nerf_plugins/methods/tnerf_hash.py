"""tnerf-hash-custom: a radiance field on a hash encoding whose network is told the time: the baseline of moving scenes.

Source: T-NeRF in Pumarola et al., D-NeRF, 2021, section 5; Müller et al., Instant Neural Graphics Primitives, 2022.
"""

from nerf_plugins.engine.optimizers import FusedAdamOptimizerConfig
from nerf_plugins.engine.presets import by_device
from nerf_plugins.engine.schedulers import WarmupExponentialSchedulerConfig
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.timed_hash import TimedHashConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.models.nerf import NerfModelConfig
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.ray_budget import RayBudgetConfig

method = make_method(
    "tnerf-hash-custom",
    "NeRF on a hash encoding with the time as an input: the baseline for moving scenes; on CUDA and CPU, no compiler.",
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
        field=TimedHashConfig(
            encoding=HashEncodingConfig(log2_table_size=by_device(16, 19), max_resolution=by_device(1024, 2048)),
        ),
    ),
    groups={
        "fields": {
            "optimizer": FusedAdamOptimizerConfig(lr=1e-2, eps=1e-15),
            "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=50, lr_final=1e-3),
        },
    },
    steps=10_000,
)
