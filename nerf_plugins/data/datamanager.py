"""nerfstudio's data manager, with checks, the centre crop, and alpha kept for training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.data.datamanagers.base_datamanager import (
    VanillaDataManager,
    VanillaDataManagerConfig,
    variable_res_collate,
)
from nerfstudio.data.pixel_samplers import PixelSamplerConfig
from torch import Tensor

from nerf_plugins.console import keep_brackets, say, warn
from nerf_plugins.data.checks import check_dataparser_outputs, is_inside_box
from nerf_plugins.data.dataset import CheckedDataset
from nerf_plugins.data.exposure import exposure_spread, nearest_photos
from nerf_plugins.data.held_out import HeldOutPhotos
from nerf_plugins.data.layouts import explain_failure
from nerf_plugins.data.names import dataset_folder, image_names
from nerf_plugins.data.odd_cameras import camera_remarks
from nerf_plugins.data.pixel_sampler import CentreCropPixelSampler, CentreCropPixelSamplerConfig
from nerf_plugins.data.rays import make_ray_generator, upload
from nerf_plugins.data.sparse_depths import SparseDepths, read_sparse_depths
from nerf_plugins.data.subset import SubsetConfig, evaluation_images, training_images
from nerf_plugins.data.transforms import check_files
from nerf_plugins.errors import InputError
from nerf_plugins.wording import counted


@dataclass
class NerfDataManagerConfig(VanillaDataManagerConfig):
    """Data manager"""

    _target: type = field(default_factory=lambda: NerfDataManager, kw_only=True)
    """target class to instantiate"""
    pixel_sampler: PixelSamplerConfig = field(default_factory=CentreCropPixelSamplerConfig)
    """How pixels are drawn."""
    keep_alpha: bool = True
    """Train on RGBA images as they are: the model blends image and render over the same background. Off: the dataparser blends."""
    pixel_weights: Literal["even", "area"] = "even"
    """How often a pixel is drawn. area: as the area that it sees, so that photos of all sizes count alike."""
    subset: SubsetConfig = SubsetConfig()  # noqa: RUF009 - frozen
    """Which of the dataset's images are used."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch_size != 1:
            raise InputError(
                f"data manager: patch_size {self.patch_size} is not supported: pixels are drawn one by one, use 1"
            )


class NerfDataManager(VanillaDataManager[CheckedDataset]):
    """Serves batches of rays and pixels.

    The training dataset's ``metadata``, which the pipeline hands to the model, gets ``cameras_inside_box`` (bool), ``nearest_camera``
    (its distance from the middle of the scene box), ``alpha_color``
    (what evaluation images are blended over, (3,) list or None), ``times`` (of the photos, (n,) list or None), ``image_names`` (of the
    photos) and, in training, ``exposure_spread`` (see ``data/exposure.py``; None where it cannot be measured).
    """

    config: NerfDataManagerConfig

    def __init__(self, config: NerfDataManagerConfig, *args: Any, **kwargs: Any) -> None:
        keep_brackets()
        try:
            if config.data is not None:
                config.dataparser.data = Path(config.data)
            check_files(config.dataparser)
            super().__init__(config, *args, **kwargs)
        except Exception as e:
            known = explain_failure(config.dataparser, e, has_parsed=hasattr(self, "eval_dataparser_outputs"))
            if known is None:
                raise
            raise known from e

    def create_train_dataset(self) -> CheckedDataset:
        """The training images, checked; with alpha where there is one and it is used."""
        whole, config = self.train_dataparser_outputs, self.config.subset
        outputs = self.train_dataparser_outputs = training_images(config, self.dataparser, whole)
        self.eval_dataparser_outputs = evaluation_images(config, self.dataparser, whole, self.test_split)
        check_dataparser_outputs(outputs, "train", opens_images=self.test_mode != "inference")
        # Of the whole split: a checkpoint must fit a model that is trained on other images.
        inside = is_inside_box(whole.cameras, whole.scene_box.aabb).float().mean() > 0.5
        middle = whole.scene_box.aabb.mean(dim=0)
        alpha_color = None if outputs.alpha_color is None else outputs.alpha_color.tolist()
        times = None if outputs.cameras.times is None else outputs.cameras.times.reshape(-1).tolist()
        metadata = {
            **outputs.metadata,
            "cameras_inside_box": bool(inside),
            "nearest_camera": float((whole.cameras.camera_to_worlds[..., 3] - middle).norm(dim=-1).min()),
            "alpha_color": alpha_color,
            "times": times,
            "image_names": self.train_image_names,
        }
        trains = self.test_mode == "val"  # "test" and "inference" evaluate and render
        if trains:
            self._warn_of_cameras()
        return CheckedDataset(
            replace(outputs, metadata=metadata),
            scale_factor=self.config.camera_res_scale_factor,
            keep_alpha=self.config.keep_alpha and trains,
        )

    def create_eval_dataset(self) -> CheckedDataset:
        """The held-out images, checked, blended over the dataparser's background."""
        outputs = self.eval_dataparser_outputs
        check_dataparser_outputs(outputs, self.test_split, opens_images=self.test_mode != "inference")
        if self.test_mode == "val" and self.config.subset != SubsetConfig():
            self._describe_subset()
        return CheckedDataset(outputs, scale_factor=self.config.camera_res_scale_factor)

    def _describe_subset(self) -> None:
        """One line on what is trained and evaluated on."""
        train, held_out = self.train_dataparser_outputs.image_filenames, self.eval_dataparser_outputs.image_filenames
        n_seen = len(set(train) & set(held_out))
        warning = f"; {n_seen} of these are trained on too" if n_seen else ""
        say(f"Subset: training on {counted(len(train), 'image')}, evaluating on {len(held_out)}{warning}.")

    def all_cameras(self) -> dict[Path, Cameras]:
        """The camera of each image, to be trained or evaluated on."""
        parts = [self.train_dataparser_outputs, self.eval_dataparser_outputs]
        return {name: outputs.cameras[i] for outputs in parts for i, name in enumerate(outputs.image_filenames)}

    def _warn_of_cameras(self) -> None:
        """Lines on what is odd in the cameras of all images."""
        seen = self.all_cameras()
        for line in camera_remarks(list(seen.values()), [name.name for name in seen]):
            warn(line)

    @property
    def train_image_names(self) -> list[str]:
        """The training images' names, in their order: what per-image state of a checkpoint is found again by."""
        return image_names(self.train_dataparser_outputs.image_filenames, dataset_folder(self.config))

    @property
    def scene_from_world(self) -> Float[Tensor, "3 4"]:
        """What takes the input data's world to the scene: the dataparser's transform, times its scale."""
        outputs = self.train_dataparser_outputs
        return outputs.dataparser_scale * outputs.dataparser_transform

    def setup_train(self) -> None:
        """nerfstudio's loader of training images, and our rays where they are the same as nerfstudio's."""
        if (
            "image" in self.exclude_batch_keys_from_device
        ):  # pixels are drawn where the images are: their numbers are needed there
            self.exclude_batch_keys_from_device = [*self.exclude_batch_keys_from_device, "image_idx"]
        known_depths = self._known_depths()
        super().setup_train()
        self.train_ray_generator = make_ray_generator(self.train_dataset.cameras.to(self.device))
        if isinstance(self.train_pixel_sampler, CentreCropPixelSampler):
            self.train_pixel_sampler.known_depths = known_depths
        if self.config.pixel_weights == "area" and isinstance(self.train_pixel_sampler, CentreCropPixelSampler):
            areas = pixel_areas(self.train_dataset.cameras)
            self.train_pixel_sampler.pixel_areas = None if torch.allclose(areas, areas.new_ones(())) else areas
        if self.test_mode == "val":
            self.train_dataset.metadata["exposure_spread"] = self._exposure_spread()
        for remark in self.train_dataset.remarks():
            remark.print()

    def _known_depths(self) -> SparseDepths | None:
        """Those of the training images; None where none are wanted.

        Raises:
            InputError: they are wanted and not there.
        """
        config = self.config.pixel_sampler
        if self.test_mode != "val" or not isinstance(config, CentreCropPixelSamplerConfig) or not config.depth_share:
            return None
        return read_sparse_depths(self.config.dataparser, self.train_dataparser_outputs, self.train_dataset.cameras)

    def setup_eval(self) -> None:
        """The same of the held-out ones."""
        cameras = self.eval_dataset.cameras
        if len(torch.cat([cameras.width, cameras.height], dim=1).unique(dim=0)) > 1:
            self.config.collate_fn = variable_res_collate  # nerfstudio looks at the training images only
        super().setup_eval()
        self.eval_ray_generator = make_ray_generator(self.eval_dataset.cameras.to(self.device))
        if self.test_mode == "test":  # ns-eval and the metrics command
            nearest = nearest_photos(cameras, self.train_dataset.cameras).tolist()
            self.fixed_indices_eval_dataloader = HeldOutPhotos(self.eval_dataset, nearest, self.device)

    def _exposure_spread(self) -> float | None:
        """Of the training photos; None where not all of them are held in memory."""
        batch = self.train_image_dataloader.cached_collated_batch
        if batch is None:
            return None
        return exposure_spread(batch["image"], self.train_dataset.cameras[torch.as_tensor(batch["image_idx"]).cpu()])

    def next_train(self, step: int) -> tuple[RayBundle, dict]:
        """A batch of training rays and their pixels, on the device."""
        if isinstance(self.train_pixel_sampler, CentreCropPixelSampler):
            self.train_pixel_sampler.step = step if self.training else None  # exporters draw from the whole image
        ray_bundle, batch = super().next_train(step)
        to_device = [key for key in ("image", "depths") if key in batch]
        return ray_bundle, batch | {key: upload(batch[key], torch.device(self.device)) for key in to_device}


def pixel_areas(cameras: Cameras) -> Float[Tensor, "n_cameras"]:
    r""":math:`1 / (f_x f_y)`: the area of a camera's pixel at the distance 1, as a share of their mean."""
    areas = 1.0 / (cameras.fx * cameras.fy).reshape(-1).float()
    return areas / areas.mean()
