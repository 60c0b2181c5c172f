"""What belongs to a photo: a learnt code for each."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.rays import Points

PHOTO_WEIGHTS = "photo_weights"
"""Metadata of a camera: each training photo's share in the look of its picture, (1, n_images)."""


class ImageCodes(nn.Module):
    """A code for each training photo. Fine-tuning on other photos finds the rows of this type again by the photos' names, and pictures
    have the mean code, or what the viewer, ``ns-render`` or a mesh asks for.

    Args:
        n_images: training photos.
        width: numbers of a code.
        deviation: standard deviation of the normal distribution that they start from.
    """

    shown: Float[Tensor, "width"] | None = None
    """The code of pictures and meshes, while somebody asks for one; None: the mean."""

    def __init__(self, n_images: int, width: int, deviation: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(deviation * torch.randn(n_images, width))

    def of_pictures(self) -> Float[Tensor, "width"]:
        """The code of what is no training photo."""
        return self.weight.mean(0) if self.shown is None else self.shown

    def forward(self, points: Points) -> Float[Tensor, "n width"]:
        """The code of each point's photo; where there is none (pictures, the occupancy grid, meshes) that of pictures."""
        if points.camera_indices is None:
            return self.of_pictures().expand(len(points.positions), -1)
        return points.per_point(self.weight.index_select(0, points.camera_indices))


def codes_in(model: nn.Module) -> list[ImageCodes]:
    """All codes of photos in a model, each once."""
    return [module for module in model.modules() if isinstance(module, ImageCodes)]
