"""Held-out photos, each with what an evaluation by photos' codes asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.datasets.base_dataset import InputDataset
from nerfstudio.data.utils.dataloaders import FixedIndicesEvalDataloader


class HeldOutPhotos(FixedIndicesEvalDataloader):
    """nerfstudio's loader of all held-out photos, one after the other; a batch has its ``camera`` and ``nearest_photo``, the index of the
    training photo that is taken most nearly alike, besides.

    Args:
        dataset: the held-out photos.
        nearest: that index for each.
        device: of cameras.
    """

    def __init__(self, dataset: InputDataset, nearest: Sequence[int], device: torch.device | str) -> None:
        super().__init__(input_dataset=dataset, device=device)
        self.nearest = nearest

    def get_camera(self, image_idx: int = 0) -> tuple[Cameras, dict[str, Any]]:
        """The camera of a photo, and its batch."""
        camera, batch = super().get_camera(image_idx)
        return camera, batch | {"camera": camera, "nearest_photo": self.nearest[image_idx]}
