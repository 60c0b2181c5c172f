"""What belongs to a photo: a learnt code for each."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class ImageCodes(nn.Module):
    """A code for each training photo. Fine-tuning on other photos finds the rows of this type again by the photos' names.

    Args:
        n_images: training photos.
        width: numbers of a code.
        deviation: standard deviation of the normal distribution that they start from.
    """

    def __init__(self, n_images: int, width: int, deviation: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(deviation * torch.randn(n_images, width))

    def forward(self, camera_indices: Int[Tensor, "n"] | None, n: int) -> Float[Tensor, "n width"]:
        """Their codes; where there is no photo (pictures, the occupancy grid, meshes) ``n`` times the mean code."""
        if camera_indices is None:
            return self.weight.mean(0).expand(n, -1)
        return self.weight.index_select(0, camera_indices)
