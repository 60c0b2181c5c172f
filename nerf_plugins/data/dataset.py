"""nerfstudio's image dataset, with errors that name the file."""

from __future__ import annotations

import numpy as np
from nerfstudio.data.datasets.base_dataset import InputDataset

from nerf_plugins.errors import InputError


class CheckedDataset(InputDataset):
    """Reads images as nerfstudio does; a broken one, or one of another size than its camera, is named."""

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
        return image
