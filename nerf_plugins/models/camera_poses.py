"""nerfstudio's adjustment of the training cameras' poses, without waiting for the device."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from nerfstudio.cameras.camera_optimizers import CameraOptimizer, CameraOptimizerConfig
from nerfstudio.cameras.rays import RayBundle
from torch import Tensor

# Smaller angles, in radians, count as this one where they are divided by; in float32 less would lose digits. nerfstudio's.
_SMALLEST_ANGLE = 1e-2


@dataclass
class CameraPosesConfig(CameraOptimizerConfig):
    """Adjustment of the training cameras' poses"""

    _target: type = field(default_factory=lambda: CameraPoses, kw_only=True)


class CameraPoses(CameraOptimizer):
    """nerfstudio's; but rays are moved by vectors, not by matrices, and the metrics stay on the device, where nerfstudio copies angles to
    the host in every step.
    """

    def apply_to_raybundle(self, raybundle: RayBundle) -> None:
        """Moves the rays of each training camera by its adjustment."""
        if self.config.mode == "off":
            return
        assert raybundle.camera_indices is not None
        of_rays = self.pose_adjustment.index_select(0, raybundle.camera_indices.reshape(-1))
        shifts, turns = of_rays.split(3, dim=-1)
        angles = turns.norm(dim=-1, keepdim=True).clamp(min=_SMALLEST_ANGLE)
        a, b = angles.sin() / angles, (1.0 - angles.cos()) / angles**2
        if self.config.mode == "SE3":
            shifts = _combine(turns, shifts, b, (1.0 - a) / angles**2)
        raybundle.origins = raybundle.origins + shifts
        raybundle.directions = _combine(turns, raybundle.directions, a, b)

    def get_metrics_dict(self, metrics_dict: dict) -> None:
        """Adds the mean and the largest shift (units of the scene) and rotation (degrees), as 0-dimensional tensors on the device."""
        if self.config.mode == "off":
            return
        shifts, turns = self.pose_adjustment.detach().split(3, dim=-1)
        lengths, degrees = shifts.norm(dim=-1), torch.rad2deg(turns.norm(dim=-1))
        metrics_dict["camera_opt_translation_max"] = lengths.max()
        metrics_dict["camera_opt_translation_mean"] = lengths.mean()
        metrics_dict["camera_opt_rotation_max"] = degrees.max()
        metrics_dict["camera_opt_rotation_mean"] = degrees.mean()


def _combine(
    turns: Float[Tensor, "n 3"], vectors: Float[Tensor, "n 3"], a: Float[Tensor, "n 1"], b: Float[Tensor, "n 1"]
) -> Float[Tensor, "n 3"]:
    r""":math:`v + a\, \omega \times v + b\, \omega \times (\omega \times v)`: with :math:`a = \sin\theta / \theta` and
    :math:`b = (1 - \cos\theta) / \theta^2` Rodrigues' rotation by :math:`\omega` of length :math:`\theta`.
    """
    once = torch.linalg.cross(turns, vectors)
    return vectors + a * once + b * torch.linalg.cross(turns, once)
