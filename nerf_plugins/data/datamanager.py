"""nerfstudio's data manager, with checks, the centre crop, and alpha kept for training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nerfstudio.cameras.rays import RayBundle
from nerfstudio.data.datamanagers.base_datamanager import VanillaDataManager, VanillaDataManagerConfig
from nerfstudio.data.pixel_samplers import PixelSamplerConfig

from nerf_plugins.data.checks import check_dataparser_outputs, is_inside_box
from nerf_plugins.data.dataset import CheckedDataset
from nerf_plugins.data.pixel_sampler import CentreCropPixelSampler, CentreCropPixelSamplerConfig
from nerf_plugins.errors import InputError


@dataclass
class NerfDataManagerConfig(VanillaDataManagerConfig):
    """Data manager"""

    _target: type = field(default_factory=lambda: NerfDataManager)
    """target class to instantiate"""
    pixel_sampler: PixelSamplerConfig = field(default_factory=CentreCropPixelSamplerConfig)
    """How pixels are drawn."""
    keep_alpha: bool = True
    """Train on RGBA images as they are: the model blends image and render over the same background. Off: the dataparser blends."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch_size != 1:
            raise InputError(
                f"data manager: patch_size {self.patch_size} is not supported: pixels are drawn one by one, use 1"
            )


class NerfDataManager(VanillaDataManager[CheckedDataset]):
    """Serves batches of rays and pixels.

    The training dataset's ``metadata``, which the pipeline hands to the model, gets ``cameras_inside_box`` (bool) and ``alpha_color``
    (what evaluation images are blended over, (3,) list or None).
    """

    config: NerfDataManagerConfig

    def create_train_dataset(self) -> CheckedDataset:
        """The training images, checked; with alpha where there is one and it is used."""
        outputs = self.train_dataparser_outputs
        check_dataparser_outputs(outputs, "train", opens_images=self.test_mode != "inference")
        inside = is_inside_box(outputs.cameras, outputs.scene_box.aabb).float().mean() > 0.5
        alpha_color = None if outputs.alpha_color is None else outputs.alpha_color.tolist()
        metadata = {**outputs.metadata, "cameras_inside_box": bool(inside), "alpha_color": alpha_color}
        trains = self.test_mode == "val"  # "test" and "inference" evaluate and render
        return CheckedDataset(
            replace(outputs, metadata=metadata),
            scale_factor=self.config.camera_res_scale_factor,
            keep_alpha=self.config.keep_alpha and trains,
        )

    def create_eval_dataset(self) -> CheckedDataset:
        """The held-out images, checked, blended over the dataparser's background."""
        outputs = self.dataparser.get_dataparser_outputs(split=self.test_split)
        check_dataparser_outputs(outputs, self.test_split, opens_images=self.test_mode != "inference")
        return CheckedDataset(outputs, scale_factor=self.config.camera_res_scale_factor)

    def next_train(self, step: int) -> tuple[RayBundle, dict]:
        """A batch of training rays and their pixels."""
        if isinstance(self.train_pixel_sampler, CentreCropPixelSampler):
            self.train_pixel_sampler.step = step if self.training else None  # exporters draw from the whole image
        return super().next_train(step)
