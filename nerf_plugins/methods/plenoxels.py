"""plenoxels-custom: densities and spherical harmonics on a grid, without a network.

Source: Fridovich-Keil & Yu et al., Plenoxels: Radiance Fields without Neural Networks, 2022.
"""

from nerf_plugins.fields.plenoxels import PlenoxelsConfig
from nerf_plugins.fields.voxels import VoxelGridConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import hash_group, march_for_voxels, static_grid, voxel_group
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "plenoxels-custom",
    "No network: densities and spherical harmonics on a grid that becomes finer, looked up in Warp; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="auto",
        occupancy=march_for_voxels(static_grid()),
        field=PlenoxelsConfig(
            voxels=VoxelGridConfig(density_tv=1e-3, color_tv=1e-3),
        ),
    ),
    groups={
        "density_grid": voxel_group(lr=0.2, lr_final=0.02),
        "color_grid": voxel_group(lr=0.2, lr_final=0.02),
        "fields": hash_group(),  # the proposals' network, where the space has no bounds
    },
    steps=2_500,
)
