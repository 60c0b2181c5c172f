"""Rays moved by learnt poses: as nerfstudio moves them."""

import pytest
import torch
from nerfstudio.cameras.camera_optimizers import CameraOptimizer

from nerf_plugins.models.camera_poses import CameraPosesConfig
from tests.models.common import make_bundle


@pytest.mark.parametrize("size", [0.0, 1e-6, 1e-3, 0.5])
@pytest.mark.parametrize("mode", ["SO3xR3", "SE3"])
def test_rays_move_as_by_nerfstudios_matrices(mode: str, size: float):
    generator = torch.Generator().manual_seed(3)
    poses = CameraPosesConfig(mode=mode).setup(num_cameras=4, device="cpu")
    poses.pose_adjustment.data = size * torch.randn(4, 6, generator=generator)
    gradients, moved = [], []
    for apply in (type(poses).apply_to_raybundle, CameraOptimizer.apply_to_raybundle):
        bundle = make_bundle(64)
        bundle.camera_indices = torch.arange(64)[:, None] % 4
        apply(poses, bundle)
        (gradient,) = torch.autograd.grad((bundle.origins * bundle.directions.cos()).sum(), poses.pose_adjustment)
        gradients.append(gradient)
        moved.append((bundle.origins, bundle.directions))
    torch.testing.assert_close(*moved, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


def test_one_ray_moves():
    poses = CameraPosesConfig(mode="SO3xR3").setup(num_cameras=1, device="cpu")
    bundle = make_bundle(1)
    poses.apply_to_raybundle(bundle)
    assert bundle.origins.shape == bundle.directions.shape == (1, 3)


def test_metrics_are_those_of_nerfstudio():
    poses = CameraPosesConfig(mode="SO3xR3").setup(num_cameras=4, device="cpu")
    poses.pose_adjustment.data = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    mine: dict[str, torch.Tensor] = {}
    theirs: dict[str, torch.Tensor] = {}
    poses.get_metrics_dict(mine)
    CameraOptimizer.get_metrics_dict(poses, theirs)
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        assert float(mine[name]) == pytest.approx(float(value), rel=1e-5)
