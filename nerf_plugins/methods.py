"""What nerfstudio finds through the entry points: the methods of this package."""

from __future__ import annotations

from nerfstudio.configs.base_config import MachineConfig, ViewerConfig
from nerfstudio.engine.optimizers import AdamOptimizerConfig, OptimizerConfig
from nerfstudio.models.base_model import ModelConfig
from nerfstudio.plugins.types import MethodSpecification

from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.data.pixel_sampler import CentreCropPixelSamplerConfig
from nerf_plugins.engine.optimizers import FusedAdamOptimizerConfig
from nerf_plugins.engine.pipeline import NerfPipelineConfig
from nerf_plugins.engine.schedulers import RisingSchedulerConfig, WarmupExponentialSchedulerConfig
from nerf_plugins.engine.trainer import NerfTrainerConfig, default_device
from nerf_plugins.fields.hash_encoding import HashEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.fields.neus_hash import NeuSHashConfig
from nerf_plugins.files.ffmpeg import ensure_ffmpeg
from nerf_plugins.models.nerf import NerfModelConfig
from nerf_plugins.models.neus import NeuSModelConfig
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.upsampling import SurfaceSamplerConfig

ensure_ffmpeg()  # ns-render writes videos; nothing of ours runs before it but this import

_DEVICE = default_device()


def _method(
    name: str,
    model: ModelConfig,
    optimizer: OptimizerConfig,
    scheduler: WarmupExponentialSchedulerConfig,
    steps: int,
    description: str,
    crop_steps: int = 0,
    sharpening: RisingSchedulerConfig | None = None,
) -> MethodSpecification:
    """A method whose schedules are as long as its training.

    Args:
        name: for ns-train.
        model: its configuration.
        optimizer: of all parameters.
        scheduler: of the learning rate.
        steps: of the training, unless the user says otherwise.
        description: for ns-train's help.
        crop_steps: steps in which only the centre of the images is seen.
        sharpening: learning rate of the parameter group "variance", where the model has one.
    """
    optimizers = {"fields": {"optimizer": optimizer, "scheduler": scheduler}}
    cameras = WarmupExponentialSchedulerConfig(warmup_steps=1, lr_final=1e-4)
    optimizers["camera_opt"] = {"optimizer": AdamOptimizerConfig(lr=1e-3, eps=1e-15), "scheduler": cameras}
    if sharpening is not None:
        optimizers["variance"] = {"optimizer": AdamOptimizerConfig(eps=1e-8), "scheduler": sharpening}
    return MethodSpecification(
        config=NerfTrainerConfig(
            method_name=name,
            machine=MachineConfig(device_type=_DEVICE),
            steps_per_eval_batch=500,
            steps_per_eval_image=1000,
            steps_per_eval_all_images=1_000_000,
            steps_per_save=1000,
            max_num_iterations=steps,
            pipeline=NerfPipelineConfig(
                datamanager=NerfDataManagerConfig(
                    train_num_rays_per_batch=512,
                    eval_num_rays_per_batch=1024,
                    pixel_sampler=CentreCropPixelSamplerConfig(crop_steps=crop_steps),
                ),
                model=model,
            ),
            optimizers=optimizers,
            viewer=ViewerConfig(num_rays_per_chunk=1 << 14),
            vis="viewer",
        ),
        description=description,
    )


# What fills the device: a step of some tens of milliseconds on two CPU cores, of some milliseconds on a large GPU.
_NERF_OCCUPANCY = {
    "cpu": OccupancySamplerConfig(samples_per_batch=1 << 13),
    "cuda": OccupancySamplerConfig(
        grid=OccupancyGridConfig(resolution=128, warmup_steps=256),
        steps_per_diagonal=1024,
        samples_per_batch=1 << 18,
    ),
}[_DEVICE]
_NEUS_OCCUPANCY = {
    "cpu": OccupancySamplerConfig(
        grid=OccupancyGridConfig(resolution=64), steps_per_diagonal=128, samples_per_batch=1 << 12
    ),
    "cuda": OccupancySamplerConfig(
        grid=OccupancyGridConfig(resolution=128, warmup_steps=256), steps_per_diagonal=256, samples_per_batch=1 << 17
    ),
}[_DEVICE]

_NERF_HASH_OCCUPANCY = {
    "cpu": OccupancySamplerConfig(samples_per_batch=1 << 13, max_rays_per_batch=1 << 13, min_transmittance=1e-3),
    "cuda": _NERF_OCCUPANCY,
}[_DEVICE]
_NEUS_HASH_OCCUPANCY = {
    "cpu": OccupancySamplerConfig(
        grid=OccupancyGridConfig(resolution=64), steps_per_diagonal=128, samples_per_batch=1 << 13
    ),
    "cuda": _NEUS_OCCUPANCY,
}[_DEVICE]
# A table that fits into the cache of a CPU core, or into that of a large GPU.
_ENCODING = {
    "cpu": HashEncodingConfig(log2_table_size=16, max_resolution=1024),
    "cuda": HashEncodingConfig(log2_table_size=19, max_resolution=2048),
}[_DEVICE]
_HASH_ADAM = FusedAdamOptimizerConfig(lr=1e-2, eps=1e-15)

vanilla_nerf_custom = _method(
    "vanilla-nerf-custom",
    NerfModelConfig(occupancy=_NERF_OCCUPANCY),
    AdamOptimizerConfig(lr=1e-3, eps=1e-8),
    WarmupExponentialSchedulerConfig(warmup_steps=250, lr_final=1e-4),
    10_000,
    "Vanilla NeRF (8x256 MLP), marched through an occupancy grid by Warp kernels; on CUDA and CPU, no compiler.",
    crop_steps=500,  # the others do not take the whole scene for background
)

# Once a surface is sharp, only what is near it is learnt, so the shape has to come first; while it is soft, colours hide a wrong shape.
neus_custom = _method(
    "neus-custom",
    NeuSModelConfig(surface=SurfaceSamplerConfig(occupancy=_NEUS_OCCUPANCY)),
    AdamOptimizerConfig(lr=5e-4, eps=1e-8),
    WarmupExponentialSchedulerConfig(warmup_steps=250, lr_final=5e-5),
    10_000,
    "NeuS (8x256 MLP) with or without masks, sampled at the surface by marching an occupancy grid; on CUDA and CPU, no compiler.",
    sharpening=RisingSchedulerConfig(),
)

nerf_hash_custom = _method(
    "nerf-hash-custom",
    NerfModelConfig(occupancy=_NERF_HASH_OCCUPANCY, field=NeRFHashConfig(encoding=_ENCODING)),
    _HASH_ADAM,
    WarmupExponentialSchedulerConfig(warmup_steps=50, lr_final=1e-3),
    5_000,
    "NeRF on a multiresolution hash encoding in Warp: the fast one; on CUDA and CPU, no compiler.",
)

neus_hash_custom = _method(
    "neus-hash-custom",
    NeuSModelConfig(
        surface=SurfaceSamplerConfig(occupancy=_NEUS_HASH_OCCUPANCY), field=NeuSHashConfig(encoding=_ENCODING)
    ),
    _HASH_ADAM,
    WarmupExponentialSchedulerConfig(warmup_steps=100, lr_final=5e-4),
    5_000,
    "NeuS on a multiresolution hash encoding in Warp: the fast one; on CUDA and CPU, no compiler.",
    sharpening=RisingSchedulerConfig(),
)
