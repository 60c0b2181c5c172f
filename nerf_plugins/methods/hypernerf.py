"""hypernerf-custom: the networks of HyperNeRF, marched through an occupancy grid of all times.

Source: Park et al., HyperNeRF: A Higher-Dimensional Representation for Topologically Varying Neural Radiance Fields, 2021;
sizes, weights and schedules as in the authors' hypernerf_vrig_ds_2d.gin, the schedules as shares of the training.
"""

from nerf_plugins.fields.hyper import AmbientMLPConfig, HyperFieldConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import deformed_groups, march_of_deformed, screw_of_codes
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "hypernerf-custom",
    "HyperNeRF (Nerfies in a scene of more dimensions, for what opens, closes or breaks); on CUDA and CPU, no compiler.",
    NerfModelConfig(
        occupancy=march_of_deformed(),
        field=HyperFieldConfig(
            warp=screw_of_codes(elastic_mult=0.0),
            canonical=AmbientMLPConfig(position_frequencies=8, skips=(3,)),
        ),
    ),
    groups=deformed_groups(),
    steps=20_000,
    crop_steps=500,  # see vanilla_nerf.py
)
