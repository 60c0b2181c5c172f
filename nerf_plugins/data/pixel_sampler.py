"""Pixel sampling with a centre crop for the first steps."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Int
from nerfstudio.data.pixel_samplers import PixelSampler, PixelSamplerConfig
from torch import Tensor

from nerf_plugins.errors import InputError


@dataclass
class CentreCropPixelSamplerConfig(PixelSamplerConfig):
    """Random pixels; in the first steps only from the centre of the images."""

    _target: type = field(default_factory=lambda: CentreCropPixelSampler)
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
        uses_mask = mask is not None and not self.config.ignore_mask
        if uses_mask or self.step is None or self.step >= self.config.crop_steps:
            return super().sample_method(batch_size, num_images, image_height, image_width, mask, device)
        share = self.config.crop_fraction
        size = torch.tensor([num_images, image_height * share, image_width * share], device=device)
        corner = torch.tensor([0.0, image_height * (1 - share) / 2, image_width * (1 - share) / 2], device=device)
        return (corner + torch.rand((batch_size, 3), device=device) * size).long()
