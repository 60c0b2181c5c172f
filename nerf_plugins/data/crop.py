"""Cutting the scene to a box: rays begin and end in it, in training and in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.model_components.scene_colliders import SceneCollider
from torch import Tensor

from nerf_plugins.data.checks import looks_at_box
from nerf_plugins.errors import InputError
from nerf_plugins.spaces import box_span


class CropBox(SceneCollider):
    """nerfstudio's place for the rays' bounds: every ray that a model sees passes through it, whoever made it.

    A ray keeps the bounds that it has (a viewer's crop) where they are the narrower ones. One that misses the box gets near = far, so
    it sees the background. The scene box, and with it what the field's coordinates mean, stays as it is.

    Args:
        box: (min, max) corner in the input data's world units, (2, 3).
        transform: nerfstudio's ``dataparser_transform`` T, and
        scale: its ``dataparser_scale`` s: ``scene = s (T_R world + T_t)``.
    """

    box: Tensor
    to_world: Tensor

    def __init__(self, box: Float[Tensor, "2 3"], transform: Float[Tensor, "3 4"], scale: float) -> None:
        super().__init__()
        to_scene = torch.eye(4, dtype=torch.float64)
        to_scene[:3] = scale * transform.double()
        # Not of the checkpoint: it may be used with another box.
        self.register_buffer("box", box.float(), persistent=False)
        self.register_buffer("to_world", torch.linalg.inv(to_scene)[:3].float(), persistent=False)

    def forward(self, ray_bundle: RayBundle) -> RayBundle:
        """Narrows ``nears`` and ``fars``, (n, 1) in the scene's units."""
        rotation, shift = self.to_world[:, :3], self.to_world[:, 3]
        origins, directions = ray_bundle.origins @ rotation.T + shift, ray_bundle.directions @ rotation.T
        enter, leave = box_span(origins, directions, self.box)
        nears, fars = enter[..., None].clamp(min=0.0), leave[..., None]
        if ray_bundle.nears is not None:
            nears = torch.maximum(nears, ray_bundle.nears)
        if ray_bundle.fars is not None:
            fars = torch.minimum(fars, ray_bundle.fars)
        ray_bundle.nears, ray_bundle.fars = nears, torch.maximum(nears, fars)
        return ray_bundle

    def contains(self, positions: Float[Tensor, "n 3"]) -> Bool[Tensor, "n"]:
        """Which positions in the scene are in the box."""
        to_world = self.to_world.cpu().to(positions)
        world = positions @ to_world[:, :3].T + to_world[:, 3]
        low, high = self.box.cpu().to(positions)
        return ((world >= low) & (world <= high)).all(-1)


def make_crop_box(corners: Sequence[float], outputs: DataparserOutputs) -> CropBox:
    """The crop for a dataset.

    Args:
        corners: x, y, z of the smallest and then of the largest corner, in the input data's world units.
        outputs: the dataset's training images.

    Raises:
        InputError: the box is empty or not finite, or no training camera looks at it.
    """
    box = torch.tensor(list(corners)).view(2, 3)
    if not bool(box.isfinite().all() and (box[0] < box[1]).all()):
        raise InputError(
            f"crop_box {box.flatten().tolist()}: give x y z of the smallest and then of the largest corner, in the data's world units"
        )
    world = replace(outputs.cameras)
    world.camera_to_worlds = outputs.transform_poses_to_original_space(outputs.cameras.camera_to_worlds, "opengl")
    if not bool(looks_at_box(world, box).any()):
        centre = world.camera_to_worlds[:, :, 3].mean(0).tolist()
        raise InputError(
            f"crop_box {box.flatten().tolist()}: no training camera looks at it; the cameras stand around "
            f"({', '.join(f'{v:.3g}' for v in centre)}) in the data's world units"
        )
    return CropBox(box, outputs.dataparser_transform, outputs.dataparser_scale)
