"""Pixel sampling with a centre crop for the first steps. Where there are no masks, nothing waits for the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int
from nerfstudio.data.pixel_samplers import PixelSampler, PixelSamplerConfig
from torch import Tensor

from nerf_plugins.errors import InputError


@dataclass
class CentreCropPixelSamplerConfig(PixelSamplerConfig):
    """Random pixels; in the first steps only from the centre of the images."""

    _target: type = field(default_factory=lambda: CentreCropPixelSampler, kw_only=True)
    """target class to instantiate"""
    crop_steps: int = 500
    """Training steps with the crop. It keeps the field from learning first that everything is background."""
    crop_fraction: float = 0.5
    """Side of the cropped part, as a share of the image's."""

    def __post_init__(self) -> None:
        if not 0 < self.crop_fraction <= 1:
            raise InputError(f"pixel sampler: crop_fraction must be in (0, 1], got {self.crop_fraction}")


class CentreCropPixelSampler(PixelSampler):
    """Samples from the centre while ``step < crop_steps``; where there are masks, from the mask as nerfstudio does."""

    config: CentreCropPixelSamplerConfig
    step: int | None = None
    """The training step, kept by the data manager; None (evaluation): no crop."""

    def sample_method(
        self,
        batch_size: int,
        num_images: int,
        image_height: int,
        image_width: int,
        mask: Tensor | None = None,
        device: torch.device | str = "cpu",
    ) -> Int[Tensor, "batch_size 3"]:
        """(image, row, column) of ``batch_size`` pixels."""
        if mask is not None and not self.config.ignore_mask:
            return super().sample_method(batch_size, num_images, image_height, image_width, mask, device)
        crops = self.step is not None and self.step < self.config.crop_steps
        share = self.config.crop_fraction if crops else 1.0
        sizes = (num_images, image_height * share, image_width * share)
        corners = (0.0, image_height * (1 - share) / 2, image_width * (1 - share) / 2)
        random = torch.rand((batch_size, 3), device=device).unbind(-1)
        return torch.stack([(corner + u * size).long() for corner, u, size in zip(corners, random, sizes)], dim=-1)

    def collate_image_dataset_batch(
        self, batch: dict[str, Any], num_rays_per_batch: int, keep_full_image: bool = False
    ) -> dict[str, Any]:
        """Random pixels of a batch of images of one size.

        Args:
            batch: ``image`` (n, h, w, channels) and ``image_idx`` (n,); whatever else there is, nerfstudio collates.
            num_rays_per_batch: number of pixels.
            keep_full_image: give the images too.

        Returns:
            ``image`` (n_pixels, channels) and ``indices`` (n_pixels, 3): image_idx, row, column, on the images' device.
        """
        images = batch["image"]
        is_plain = batch.keys() <= {"image", "image_idx"} and not keep_full_image
        if not is_plain or self.config.is_equirectangular or self.config.fisheye_crop_radius is not None:
            return super().collate_image_dataset_batch(batch, num_rays_per_batch, keep_full_image)
        n_images, height, width, n_channels = images.shape
        indices = self.sample_method(num_rays_per_batch, n_images, height, width, device=images.device)
        image, row, column = indices.unbind(-1)
        colors = images.view(-1, n_channels).index_select(0, (image * height + row) * width + column)
        image_idx = batch["image_idx"].to(images.device).index_select(0, image)
        return {"image": colors, "indices": torch.stack([image_idx, row, column], dim=-1)}
