"""What belongs to a photo: a learnt code for each."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.rays import Points


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

    def forward(self, points: Points) -> Float[Tensor, "n width"]:
        """The code of each point's photo; where there is none (pictures, the occupancy grid, meshes) the mean code."""
        if points.camera_indices is None:
            return self.weight.mean(0).expand(len(points.positions), -1)
        return points.per_point(self.weight.index_select(0, points.camera_indices))
