"""neus-hash-custom: NeuS on a multiresolution hash encoding that learns from coarse to fine.

Source: Wang et al., NeuS, 2021; Müller et al., Instant Neural Graphics Primitives, 2022; Li et al., Neuralangelo, 2023 (coarse to fine).
"""

from nerfstudio.engine.optimizers import AdamOptimizerConfig

from nerf_plugins.engine.optimizers import FusedAdamOptimizerConfig
from nerf_plugins.engine.presets import by_device
from nerf_plugins.engine.schedulers import RisingSchedulerConfig, WarmupExponentialSchedulerConfig
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.neus_hash import NeuSHashConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.models.neus import NeuSModelConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.ray_budget import RayBudgetConfig
from nerf_plugins.samplers.surface import SurfaceSamplerConfig

method = make_method(
    "neus-hash-custom",
    "NeuS on a multiresolution hash encoding in Warp: the fast one; on CUDA and CPU, no compiler.",
    NeuSModelConfig(
        surface=SurfaceSamplerConfig(
            grid=OccupancyGridConfig(resolution=by_device(64, 128), warmup_steps=by_device(128, 256)),
            budget=RayBudgetConfig(samples_per_batch=by_device(1 << 13, 1 << 17)),
            steps_per_diagonal=by_device(128, 256),
        ),
        field=NeuSHashConfig(
            encoding=HashEncodingConfig(
                log2_table_size=by_device(16, 19), max_resolution=by_device(1024, 2048), start_levels=8
            )
        ),
    ),
    groups={
        "fields": {
            "optimizer": FusedAdamOptimizerConfig(lr=1e-2, eps=1e-15),
            "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=100, lr_final=5e-4),
        },
        "variance": {"optimizer": AdamOptimizerConfig(eps=1e-8), "scheduler": RisingSchedulerConfig()},  # see neus.py
    },
    steps=5_000,
)
