"""Pieces of configurations that several methods have, in the sizes that fill a device: two CPU cores, or a large GPU."""

from __future__ import annotations

from typing import Any

from nerf_plugins.engine.optimizers import FusedAdamOptimizerConfig, MaskedAdamOptimizerConfig
from nerf_plugins.engine.presets import by_device
from nerf_plugins.engine.schedulers import RisingSchedulerConfig, WarmupExponentialSchedulerConfig
from nerf_plugins.fields.encodings import HashEncodingConfig, KPlanesEncodingConfig, WindowedEncodingConfig
from nerf_plugins.fields.warps.screw import ScrewConfig
from nerf_plugins.methods.base import Group
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.ray_budget import RayBudgetConfig
from nerf_plugins.samplers.surface import SurfaceSamplerConfig


def static_grid() -> OccupancyGridConfig:
    """Of a scene that does not move."""
    return OccupancyGridConfig(resolution=by_device(96, 128), warmup_steps=by_device(128, 256))


def moving_grid() -> OccupancyGridConfig:
    """Of a scene that moves: a cell is visited at one random time, and remembers the densest for longer. An occupied one is visited each 50
    steps or so: with a decay of 0.99 it would take 10,000 steps to forget a cloud of the beginning."""
    return OccupancyGridConfig(resolution=by_device(96, 128), warmup_steps=by_device(256, 512), decay=0.95)


def march_for_mlp(grid: OccupancyGridConfig, samples_per_batch: int) -> OccupancySamplerConfig:
    """For a field whose layers are its cost: a step of some tens of milliseconds on two CPU cores, of some milliseconds on a large GPU."""
    return OccupancySamplerConfig(
        grid=grid,
        budget=RayBudgetConfig(samples_per_batch=samples_per_batch),
        steps_per_diagonal=by_device(400, 1024),
    )


def march_for_hash(grid: OccupancyGridConfig, min_transmittance: float | None = None) -> OccupancySamplerConfig:
    """For a field on a hash table, where looking at the densities first pays on a CPU.

    Args:
        grid: the occupancy grid.
        min_transmittance: None: looks first on a CPU. 0: never, for a field whose density is most of its cost.
    """
    return OccupancySamplerConfig(
        grid=grid,
        budget=RayBudgetConfig(
            samples_per_batch=by_device(1 << 13, 1 << 18), max_rays_per_batch=by_device(1 << 13, 1 << 14)
        ),
        steps_per_diagonal=by_device(400, 1024),
        min_transmittance=by_device(1e-3, 0.0) if min_transmittance is None else min_transmittance,
    )


def march_to_surface(samples_per_batch: int) -> SurfaceSamplerConfig:
    """For a distance field."""
    return SurfaceSamplerConfig(
        grid=OccupancyGridConfig(resolution=by_device(64, 128), warmup_steps=by_device(128, 256)),
        budget=RayBudgetConfig(samples_per_batch=samples_per_batch),
        steps_per_diagonal=by_device(128, 256),
    )


def march_of_deformed() -> OccupancySamplerConfig:
    """For two MLPs, one seen through the other."""
    return march_for_mlp(moving_grid(), samples_per_batch=by_device(1 << 13, 1 << 17))


def screw_of_codes(elastic_mult: float) -> ScrewConfig:
    """Nerfies' warp: all its octaves are there after 80,000 of the authors' 250,000 steps.

    Args:
        elastic_mult: weight of the elastic loss.
    """
    return ScrewConfig(
        D=6,
        W=128,
        skips=(3,),
        position=WindowedEncodingConfig(n_frequencies=6, share=0.32),
        code_width=8,
        elastic_mult=elastic_mult,
        background_mult=1.0,
        n_background=by_device(512, 1 << 14),
    )


def variance_group() -> Group:
    """Of NeuS: once a surface is sharp, only what is near it is learnt, so the shape has to come first; while it is soft, colours hide a
    wrong shape."""
    return {"optimizer": FusedAdamOptimizerConfig(eps=1e-8), "scheduler": RisingSchedulerConfig()}


def deformed_groups() -> dict[str, Group]:
    """Nerfies' rate for both networks."""
    return {"fields": mlp_group(), "warp": mlp_group()}


def hash_table(**options: Any) -> HashEncodingConfig:
    """A table that fits into the cache of a CPU core, or into that of a large GPU.

    Args:
        options: others of :class:`HashEncodingConfig`.
    """
    return HashEncodingConfig(log2_table_size=by_device(16, 19), max_resolution=by_device(1024, 2048), **options)


def planes() -> KPlanesEncodingConfig:
    """K-Planes' for two CPU cores, or those that fill a large GPU."""
    return KPlanesEncodingConfig(
        n_features=by_device(16, 32), start_resolution=by_device(64, 256), resolution=by_device(128, 512)
    )


def mlp_group(lr: float = 1e-3, lr_final: float = 1e-4, warmup_steps: int = 250) -> Group:
    """Adam for a field whose layers are all it has."""
    return {
        "optimizer": FusedAdamOptimizerConfig(lr=lr, eps=1e-8),
        "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=warmup_steps, lr_final=lr_final),
    }


def hash_group(warmup_steps: int = 50, lr_final: float = 1e-3, lr: float = 1e-2) -> Group:
    """Adam in one pass over tables of numbers and small layers; at instant-ngp's rate, unless another is said."""
    return {
        "optimizer": FusedAdamOptimizerConfig(lr=lr, eps=1e-15),
        "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=warmup_steps, lr_final=lr_final),
    }


def march_for_voxels(grid: OccupancyGridConfig) -> OccupancySamplerConfig:
    """For a field that is looked up and hardly computed: a batch is large, so that what each step costs besides is small beside it."""
    return OccupancySamplerConfig(
        grid=grid,
        budget=RayBudgetConfig(
            samples_per_batch=by_device(1 << 15, 1 << 18), max_rays_per_batch=by_device(1 << 13, 1 << 14)
        ),
        steps_per_diagonal=by_device(300, 1024),
        min_transmittance=by_device(1e-3, 0.0),
    )


def voxel_group(lr: float, lr_final: float) -> Group:
    """Adam on the vertices that a step has seen."""
    return {
        "optimizer": MaskedAdamOptimizerConfig(lr=lr, eps=1e-15),
        "scheduler": WarmupExponentialSchedulerConfig(warmup_steps=1, lr_final=lr_final),
    }
