"""nerfies-custom: the networks of Nerfies, marched through an occupancy grid of all times.

Source: Park et al., Nerfies: Deformable Neural Radiance Fields, 2021; sizes, weights and schedules as in the authors'
gpu_vrig_paper.gin, the schedules as shares of the training.
"""

from nerf_plugins.fields.deformed import DeformedFieldConfig
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import deformed_groups, march_of_deformed, screw_of_codes
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "nerfies-custom",
    "Nerfies (a rigid motion of each point by a code of each time, elastic) for moving scenes; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        occupancy=march_of_deformed(),
        field=DeformedFieldConfig(
            warp=screw_of_codes(elastic_mult=1e-3),
            canonical=NeRFMLPConfig(position_frequencies=8, skips=(3,)),
        ),
    ),
    groups=deformed_groups(),
    steps=20_000,
    crop_steps=500,  # see vanilla_nerf.py
)
