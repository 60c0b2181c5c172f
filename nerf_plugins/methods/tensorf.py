"""tensorf-custom: density and appearance from factorised tensors, colour by a small shader.

Source: Chen et al., TensoRF: Tensorial Radiance Fields, 2022.
"""

from nerf_plugins.engine.presets import by_device
from nerf_plugins.fields.encodings import TensorEncodingConfig
from nerf_plugins.fields.tensorf import TensoRFConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import hash_group, march_for_hash, static_grid
from nerf_plugins.models.nerf import NerfModelConfig

method = make_method(
    "tensorf-custom",
    "TensoRF: factorised tensors in Warp and a small shader, from coarse to fine; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="auto",
        occupancy=march_for_hash(static_grid()),
        field=TensoRFConfig(
            density_tensor=TensorEncodingConfig(
                n_features=by_device(8, 16), start_resolution=by_device(64, 128), resolution=by_device(128, 300)
            ),
            appearance_tensor=TensorEncodingConfig(
                n_features=by_device(16, 48), start_resolution=by_device(64, 128), resolution=by_device(128, 300)
            ),
        ),
    ),
    groups={
        "tensors": hash_group(lr=2e-2, lr_final=2e-3),
        "fields": hash_group(lr=5e-3, lr_final=5e-4),
    },
    steps=5_000,
)
