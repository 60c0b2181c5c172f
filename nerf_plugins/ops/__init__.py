"""Public stateless functions on torch tensors, on CUDA and CPU: arguments checked, gradients where they make sense."""

from nerf_plugins.ops.box import clip_rays
from nerf_plugins.ops.composite import Composited, blend_background, composite
from nerf_plugins.ops.cones import ConeMoments, ConePoints, cone_moments, cone_points
from nerf_plugins.ops.distance_grid import GridHits, trace_distance_grid
from nerf_plugins.ops.distortion import distortion_loss
from nerf_plugins.ops.eikonal import eikonal_error
from nerf_plugins.ops.hash_encoding import HashLevels, hash_encode, hash_encode_backward, hash_levels
from nerf_plugins.ops.interlevel import interlevel_loss
from nerf_plugins.ops.march import empty_blocks, march_grid
from nerf_plugins.ops.masked_adam import masked_adam_
from nerf_plugins.ops.packed import PackedSamples, pack_sections, select_samples
from nerf_plugins.ops.planes import PlaneGroup, PlaneLayout, plane_layout, plane_products, split_planes
from nerf_plugins.ops.points import ray_points
from nerf_plugins.ops.rays import PixelRays, lens_rays, pinhole_rays
from nerf_plugins.ops.sample_pdf import sample_pdf
from nerf_plugins.ops.sdf_opacity import sdf_densities, sdf_optical_depths
from nerf_plugins.ops.strain import log_strain
from nerf_plugins.ops.surface import Exploration, Sections, surface_sections, surface_weights
from nerf_plugins.ops.voxel_tv import voxel_tv
from nerf_plugins.ops.voxels import voxel_look_up

__all__ = [
    "Composited",
    "ConeMoments",
    "ConePoints",
    "Exploration",
    "GridHits",
    "HashLevels",
    "PackedSamples",
    "PixelRays",
    "PlaneGroup",
    "PlaneLayout",
    "Sections",
    "blend_background",
    "clip_rays",
    "composite",
    "cone_moments",
    "cone_points",
    "distortion_loss",
    "eikonal_error",
    "empty_blocks",
    "hash_encode",
    "hash_encode_backward",
    "hash_levels",
    "interlevel_loss",
    "lens_rays",
    "log_strain",
    "march_grid",
    "masked_adam_",
    "pack_sections",
    "pinhole_rays",
    "plane_layout",
    "plane_products",
    "ray_points",
    "sample_pdf",
    "sdf_densities",
    "sdf_optical_depths",
    "select_samples",
    "split_planes",
    "surface_sections",
    "surface_weights",
    "trace_distance_grid",
    "voxel_look_up",
    "voxel_tv",
]
