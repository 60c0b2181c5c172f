"""dvgo-custom: grids of densities and features, and a shallow colour network.

Source: Sun et al., Direct Voxel Grid Optimization: Super-fast Convergence for Radiance Fields Reconstruction, 2022.
"""

from nerf_plugins.fields.dvgo import DVGOConfig
from nerf_plugins.fields.voxels import VoxelGridConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import hash_group, march_for_voxels, static_grid, voxel_group
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "dvgo-custom",
    "Grids of densities and features that become finer, and a shallow colour network, in Warp; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="auto",
        occupancy=march_for_voxels(static_grid()),
        field=DVGOConfig(
            voxels=VoxelGridConfig(density_tv=1e-4),
        ),
    ),
    groups={
        "density_grid": voxel_group(lr=0.2, lr_final=0.02),
        "color_grid": voxel_group(lr=0.1, lr_final=0.01),
        "fields": hash_group(lr_final=1e-3),
    },
    steps=3_000,
)
