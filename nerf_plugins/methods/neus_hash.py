"""neus-hash-custom: NeuS on a multiresolution hash encoding.

Source: Wang et al., NeuS, 2021; Müller et al., Instant Neural Graphics Primitives, 2022.
"""

from nerf_plugins.engine.presets import by_device
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.fields.neus_hash import NeuSHashConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import hash_group, hash_table, march_to_surface, variance_group
from nerf_plugins.models.neus import NeuSModelConfig
from nerf_plugins.models.outside import OutsideConfig

method = make_method(
    "neus-hash-custom",
    "NeuS on a multiresolution hash encoding in Warp: the fast one; on CUDA and CPU, no compiler.",
    NeuSModelConfig(
        surface=march_to_surface(samples_per_batch=by_device(1 << 13, 1 << 17)),
        field=NeuSHashConfig(encoding=hash_table()),
        outside=OutsideConfig(sampler="proposal", field=NeRFHashConfig(cones=True, encoding=hash_table())),
        eikonal_loss_mult=0.01,
    ),
    groups={
        "fields": hash_group(warmup_steps=100, lr_final=5e-4),
        "variance": variance_group(),
    },
    steps=5_000,
    detail_share=by_device(0.25, 0.0),
)
