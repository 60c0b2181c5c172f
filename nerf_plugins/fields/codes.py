"""What belongs to a photo, or to a time: a learnt code for each."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.fields.base import Dataset
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


class TimeCodes(ImageCodes):
    """A code for each time at which photos were taken; between two such times it is interpolated, before and after all it is constant.

    Photos of one time share its code: the row of the first of them. A checkpoint has it in the rows of all, so that fine-tuning on other
    photos finds it by any one's name.

    Source: Park et al., Nerfies, 2021, section 3.2 (a code for each image); HyperNeRF, 2021, section 5 (interpolated).

    Args:
        dataset: its photos and their times; without times all photos have one code.
        width: numbers of a code. They start evenly spread in [0, 0.05], as the authors' do.
    """

    times: Tensor
    """(n_times,): ascending."""
    rows: Tensor
    """(n_times,): the row of the code of each."""

    def __init__(self, dataset: Dataset, width: int) -> None:
        super().__init__(max(dataset.n_images, 1), width)
        nn.init.uniform_(self.weight, 0.0, 0.05)
        times = torch.zeros(len(self.weight)) if dataset.times is None else dataset.times
        distinct, which = times.unique(return_inverse=True)
        # Later ones are written first, so that the first photo of a time stays.
        rows = torch.zeros(len(distinct), dtype=torch.long)
        for photo in reversed(range(len(times))):
            rows[which[photo]] = photo
        self.width = width
        self._row_of_photo = rows[which]
        self.register_buffer("times", distinct, persistent=False)
        self.register_buffer("rows", rows, persistent=False)

    def at(self, times: Float[Tensor, "n"]) -> Float[Tensor, "n width"]:
        """The codes of times."""
        n, codes = len(self.times), self.weight.index_select(0, self.rows)
        later = torch.searchsorted(self.times, times.contiguous()).clamp(max=n - 1)
        earlier = (later - 1).clamp(min=0)
        start, end = self.times[earlier], self.times[later]
        share = ((times - start) / (end - start).clamp(min=1e-12)).clamp(0.0, 1.0)
        return torch.lerp(codes.index_select(0, earlier), codes.index_select(0, later), share[:, None])

    def forward(self, points: Points) -> Float[Tensor, "n width"]:
        """The code of each point's time."""
        assert points.times is not None, "codes of times need times"
        return points.encoded(self.at, points.times)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not keep_vars:
            name = f"{prefix}weight"
            destination[name] = destination[name][self._row_of_photo.to(self.weight.device)]


def codes_in(model: nn.Module) -> list[ImageCodes]:
    """All codes in a model of how photos look, each once: not those of times, which pictures have of their own."""
    modules = model.modules()
    return [codes for codes in modules if isinstance(codes, ImageCodes) and not isinstance(codes, TimeCodes)]
