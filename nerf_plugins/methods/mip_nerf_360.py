"""mip-nerf-360-custom: the networks of Mip-NeRF 360 for scenes without end: no hash table, few samples that a small network proposes.

Source: Barron et al., Mip-NeRF 360: Unbounded Anti-Aliased Neural Radiance Fields, 2022.
"""

from nerf_plugins.engine.presets import by_device
from nerf_plugins.fields.encodings import IntegratedEncodingConfig
from nerf_plugins.fields.mip_nerf import MipNeRFConfig
from nerf_plugins.fields.proposal import ProposalFieldConfig
from nerf_plugins.methods.base import make_method
from nerf_plugins.methods.presets import mlp_group
from nerf_plugins.models.nerf import NerfModelConfig
from nerf_plugins.samplers.proposal import ProposalSamplerConfig

method = make_method(
    "mip-nerf-360-custom",
    "Mip-NeRF 360 (MLPs on contracted cones, proposals, distortion loss), smaller than the paper's; on CUDA and CPU, no compiler.",
    NerfModelConfig(
        sampler="proposal",
        proposal=ProposalSamplerConfig(
            n_proposals=(64, 48),
            n_samples=32,
            field=ProposalFieldConfig(  # the paper's: 4 layers of 256
                encoding=IntegratedEncodingConfig(n_frequencies=by_device(6, 12), basis="icosahedron"),
                width=by_device(64, 256),
                n_layers=by_device(2, 4),
            ),
        ),
        # The paper's: 8 layers of 1024.
        field=MipNeRFConfig(W=by_device(128, 512), position_frequencies=by_device(10, 12), basis="icosahedron"),
    ),
    groups={
        "fields": mlp_group(lr=2e-3, warmup_steps=100),
    },
    steps=10_000,
    n_rays=by_device(256, 4096),
    pixel_weights="area",
)
