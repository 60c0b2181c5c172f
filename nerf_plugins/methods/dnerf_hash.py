"""dnerf-hash-custom: coarse volumes that displace points, before a radiance field on a hash encoding that is told the time.

Source: Pumarola et al., D-NeRF, 2021; Müller et al., Instant Neural Graphics Primitives, 2022; Fang et al., Fast Dynamic Radiance Fields
with Time-Aware Neural Voxels, 2022, section 3.3: the time for the canonical field too; Park et al., Nerfies, 2021 (coarse to fine).
"""

from nerf_plugins.fields.deformed import DeformedFieldConfig
from nerf_plugins.fields.timed_hash import TimedHashConfig
from nerf_plugins.fields.warps.volumes import VolumesConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import hash_group, hash_table, march_for_hash, moving_grid
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "dnerf-hash-custom",
    "A displacement from coarse volumes before NeRF on a hash encoding: where moving things go; moving-nerf-custom has better views.",
    NerfModelConfig(
        sampler="auto",
        occupancy=march_for_hash(moving_grid(), min_transmittance=0.0),
        field=DeformedFieldConfig(
            warp=VolumesConfig(),
            # Fine levels come later: their gradient would tear the warp while it is still far off. The time mends what no warp can.
            canonical=TimedHashConfig(
                encoding=hash_table(interpolation="smoothstep", start_levels=4), density_layers=2
            ),
        ),
    ),
    groups={
        "fields": hash_group(),
        "warp": hash_group(lr=5e-3, lr_final=5e-4, warmup_steps=250),
    },
    steps=10_000,
)
