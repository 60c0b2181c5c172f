"""nerfstudio's image dataset, with errors that name the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.datasets.base_dataset import InputDataset
from PIL import Image
from torch import Tensor

from nerf_plugins.errors import InputError


class CheckedDataset(InputDataset):
    """Reads images as nerfstudio does; a broken one, or one of another size than its camera, is named.

    A dataparser whose alpha channels are files of their own lists these as ``metadata["alpha_filenames"]``, one for each image: grey,
    0 where nothing of the scene is. They take the place of the images' own alpha.

    Args:
        dataparser_outputs: the images and cameras.
        scale_factor: of the images' size.
        keep_alpha: give RGBA images as they are, and RGB ones among them an alpha of 1, instead of blending.
    """

    def __init__(
        self, dataparser_outputs: DataparserOutputs, scale_factor: float = 1.0, keep_alpha: bool = False
    ) -> None:
        if keep_alpha:
            dataparser_outputs = replace(dataparser_outputs, alpha_color=None)
        super().__init__(dataparser_outputs, scale_factor)
        for name in ("fx", "fy", "cx", "cy"):  # float64 from Blender's parser, with which ns-render spiral fails
            setattr(self.cameras, name, getattr(self.cameras, name).float())
        self.alpha_filenames: list[Path] | None = self.metadata.get("alpha_filenames")
        self.has_alpha = keep_alpha and (
            self.alpha_filenames is not None or any(_has_alpha(name) for name in dataparser_outputs.image_filenames)
        )

    def get_data(self, image_idx: int, image_type: Literal["uint8", "float32"] = "float32") -> dict:
        """The image and what belongs to it.

        Raises:
            InputError: the image or its mask cannot be decoded, or has the wrong size.
        """
        try:
            return super().get_data(image_idx, image_type)
        except InputError:
            raise
        except (OSError, SyntaxError, ValueError, AssertionError) as e:
            masks = self._dataparser_outputs.mask_filenames
            if masks is None:
                raise
            raise InputError(f"mask {masks[image_idx]} cannot be read ({e}): replace it") from e

    def get_image_float32(self, image_idx: int) -> Tensor:
        """The image, (H, W, 3 or 4) in [0, 1]."""
        image = super().get_image_float32(image_idx)
        if self.has_alpha and image.shape[-1] == 3:
            image = torch.cat([image, torch.ones_like(image[..., :1])], dim=-1)
        return image

    def get_numpy_image(self, image_idx: int) -> np.ndarray:
        """The image, (H, W, 3 or 4) uint8.

        Raises:
            InputError: it cannot be decoded, is no 8-bit RGB(A) image, or has another size than its camera.
        """
        name = self.image_filenames[image_idx]
        try:
            image = super().get_numpy_image(image_idx)
        except (OSError, SyntaxError, ValueError, AssertionError) as e:
            raise InputError(f"image {name} cannot be read ({e}): replace it or remove its frame") from e
        camera = self.cameras[image_idx]
        wanted = (int(camera.width), int(camera.height))
        if self.scale_factor == 1.0 and (image.shape[1], image.shape[0]) != wanted:
            raise InputError(
                f"image {name} has {image.shape[1]}x{image.shape[0]} pixels, but its camera {wanted[0]}x{wanted[1]}: "
                "all images of this dataset must have the size that the dataparser expects"
            )
        return image if self.alpha_filenames is None else self._with_alpha(image, self.alpha_filenames[image_idx])

    def get_alpha(self, image_idx: int) -> np.ndarray | None:
        """The image's alpha channel, (H, W) uint8, if it has one."""
        image = self.get_numpy_image(image_idx)
        return image[..., 3] if image.shape[-1] == 4 else None

    def _with_alpha(self, image: np.ndarray, name: Path) -> np.ndarray:
        height, width = image.shape[:2]
        try:
            with Image.open(name) as file:
                grey = file.convert("L")
        except (OSError, SyntaxError, ValueError) as e:
            raise InputError(f"mask {name} cannot be read ({e}): replace it") from e
        if self.scale_factor != 1.0:
            grey = grey.resize((width, height), resample=Image.Resampling.BILINEAR)
        if grey.size != (width, height):
            raise InputError(
                f"mask {name} has {grey.width}x{grey.height} pixels, but its image {width}x{height}: both must have one size"
            )
        return np.concatenate([image[..., :3], np.asarray(grey)[..., None]], axis=-1)


def _has_alpha(name: Path) -> bool:
    """Whether a file's header speaks of alpha; a broken file is left to whoever reads it."""
    try:
        with Image.open(name) as image:
            return image.mode in ("RGBA", "LA")
    except OSError:
        return False
