"""Our rays and pixels are nerfstudio's, without what makes a host wait for the device."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.pixel_samplers import PixelSampler, PixelSamplerConfig
from nerfstudio.model_components.ray_generators import RayGenerator
from torch.utils._python_dispatch import TorchDispatchMode

from nerf_plugins.data.datamanager import NerfDataManager, NerfDataManagerConfig
from nerf_plugins.data.pixel_sampler import CentreCropPixelSampler, CentreCropPixelSamplerConfig
from nerf_plugins.data.rays import LensRayGenerator, PinholeRayGenerator, make_ray_generator, upload, view_rays
from nerf_plugins.dataparsers.demo import DemoDataParserConfig

from ..dataparsers import test_llff, test_neus


def random_cameras(n: int, width: int, **options: Any) -> Cameras:
    """Cameras with intrinsics and sizes of their own."""
    generator = torch.Generator().manual_seed(0)

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, 1, generator=generator)

    rotations = torch.linalg.qr(torch.randn(n, 3, 3, generator=generator)).Q
    poses = torch.cat([rotations, 5 * torch.randn(n, 3, 1, generator=generator)], dim=-1)
    intrinsics: dict[str, Any] = {name: uniform(0.5 * width, 3.0 * width) for name in ("fx", "fy")}
    intrinsics |= {name: uniform(0.4 * width, 0.6 * width) for name in ("cx", "cy")}
    intrinsics |= {name: uniform(0.7 * width, width).long() for name in ("width", "height")}
    return Cameras(poses, **intrinsics, **{"camera_type": CameraType.PERSPECTIVE, **options})


def dataset_cameras(name: str, folder: Path) -> Cameras:
    if name == "llff":
        return test_llff.parse(test_llff.write(folder, test_llff.rows())).cameras
    if name == "neus":
        return test_neus.parse(test_neus.write(folder)).cameras
    if name == "demo":
        config = DemoDataParserConfig(data=folder, resolution=8, num_train=5, num_val=1, num_test=1)
        return config.setup().get_dataparser_outputs("train").cameras
    return random_cameras(7, width=4000 if name == "large images" else 40)


def random_pixels(cameras: Cameras, n: int = 500) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    camera = torch.randint(len(cameras), (n,), generator=generator)
    sizes = torch.stack([cameras.height[camera, 0], cameras.width[camera, 0]], dim=-1)
    pixels = (torch.rand(n, 2, generator=generator) * sizes).long()
    return torch.cat([camera[:, None], pixels], dim=-1)


@pytest.mark.parametrize("name", ["demo", "llff", "neus", "small images", "large images"])
def test_rays_are_nerfstudios(tmp_path: Path, name: str):
    cameras = dataset_cameras(name, tmp_path)
    pixels = random_pixels(cameras)
    ours, theirs = make_ray_generator(cameras)(pixels), RayGenerator(cameras)(pixels)
    assert isinstance(make_ray_generator(cameras), PinholeRayGenerator)
    assert torch.equal(ours.origins, theirs.origins)
    torch.testing.assert_close(ours.directions, theirs.directions, rtol=0, atol=5e-7)
    # Neighbouring directions differ by a pixel's angle, 1 / f: rounding of 1e-7 in each is that share of it, in both factors and both ways.
    torch.testing.assert_close(ours.pixel_area, theirs.pixel_area, rtol=4e-7 * float(cameras.fx.max()) + 1e-5, atol=0)
    assert torch.equal(ours.camera_indices, theirs.camera_indices)
    assert ours.metadata.keys() == theirs.metadata.keys() == {"directions_norm"}
    torch.testing.assert_close(ours.metadata["directions_norm"], theirs.metadata["directions_norm"], rtol=1e-6, atol=0)
    assert (ours.times, ours.nears, ours.fars) == (theirs.times, theirs.nears, theirs.fars) == (None, None, None)


def test_rays_by_hand():
    """A camera at (1, 2, 3) with the world's axes, f = 2, 4x4 pixels: the ray through the pixel right below the middle."""
    pose = torch.eye(4)[None, :3].clone()
    pose[0, :, 3] = torch.tensor([1.0, 2.0, 3.0])
    cameras = Cameras(pose, 2.0, 2.0, 2.0, 2.0, 4, 4, camera_type=CameraType.PERSPECTIVE)
    rays = make_ray_generator(cameras)(torch.tensor([[0, 2, 2]]))
    length = math.sqrt(0.25**2 + 0.25**2 + 1.0)
    assert rays.origins.tolist() == [[1.0, 2.0, 3.0]]
    assert rays.directions[0].tolist() == pytest.approx([0.25 / length, -0.25 / length, -1.0 / length])
    assert rays.metadata["directions_norm"].item() == pytest.approx(length)


@pytest.mark.parametrize(
    "options",
    [
        {"camera_type": CameraType.FISHEYE},
        {"camera_type": torch.tensor([[1], [1], [1], [2]])},
        {"metadata": {"cam_idx": torch.arange(4)[:, None]}},
    ],
    ids=["fisheye", "one fisheye", "metadata"],
)
def test_other_cameras_get_nerfstudios_rays(options: dict):
    cameras = random_cameras(4, 30, **options)
    generator = make_ray_generator(cameras)
    assert type(generator) is RayGenerator
    assert len(generator(random_pixels(cameras, 20))) == 20


def test_rays_have_the_times_of_their_cameras():
    cameras = random_cameras(4, 30, times=torch.linspace(0, 1, 4)[:, None])
    pixels = random_pixels(cameras, 20)
    generator = make_ray_generator(cameras)
    assert type(generator) is PinholeRayGenerator
    assert torch.equal(generator(pixels).times, torch.linspace(0, 1, 4)[pixels[:, 0]][:, None])


def test_distortion_of_zero_is_none():
    cameras = random_cameras(4, 30, distortion_params=torch.zeros(4, 6), metadata={})
    assert isinstance(make_ray_generator(cameras), PinholeRayGenerator)


class HostSyncs(TorchDispatchMode):
    """Notes the operations that wait for the device on CUDA: those whose result's shape, or a Python number, depends on values."""

    NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "equal")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        name = func.overloadpacket.__name__
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        if name in self.NAMES or any(i is not None and i.dtype == torch.bool for i in indices):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("width", [40, 4000])
def test_rays_through_lenses_are_nerfstudios(width: int):
    lenses = 0.02 * torch.randn(7, 6, generator=torch.Generator().manual_seed(2))
    lenses[3] = 0.0
    cameras = random_cameras(7, width, distortion_params=lenses, times=torch.linspace(0, 1, 7)[:, None])
    pixels = random_pixels(cameras)
    ours, theirs = make_ray_generator(cameras)(pixels), RayGenerator(cameras)(pixels)
    assert type(make_ray_generator(cameras)) is LensRayGenerator
    assert torch.equal(ours.origins, theirs.origins)
    torch.testing.assert_close(ours.directions, theirs.directions, rtol=0, atol=1e-6)
    # As in test_rays_are_nerfstudios, and Newton's last step is rounded too.
    torch.testing.assert_close(ours.pixel_area, theirs.pixel_area, rtol=2e-6 * float(cameras.fx.max()) + 1e-5, atol=0)
    torch.testing.assert_close(ours.metadata["directions_norm"], theirs.metadata["directions_norm"], rtol=2e-6, atol=0)
    assert torch.equal(ours.times, theirs.times)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"distortion_params": torch.full((2, 6), 0.02), "times": torch.tensor([[0.25], [0.75]])},
        {"metadata": {"cam_idx": torch.arange(2)[:, None]}},
    ],
    ids=["pinhole", "lens", "metadata"],
)
def test_the_rays_of_a_picture_are_nerfstudios(options: dict[str, Any]):
    camera = random_cameras(2, 30, **options)[1:]
    ours, theirs = view_rays(camera), camera.generate_rays(camera_indices=0, keep_shape=True)
    assert ours.shape == theirs.shape == (int(camera.height), int(camera.width))
    torch.testing.assert_close(ours.directions, theirs.directions, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.origins, theirs.origins)
    torch.testing.assert_close(ours.pixel_area, theirs.pixel_area, rtol=1e-3, atol=0)
    assert torch.equal(ours.camera_indices, theirs.camera_indices)
    assert ours.metadata.keys() == theirs.metadata.keys()
    if camera.times is not None:
        assert (ours.times == 0.75).all()


@pytest.mark.parametrize("bend", [0.0, 0.05])
def test_nothing_waits_for_the_device(bend: float):
    cameras = random_cameras(4, 30, distortion_params=torch.full((4, 6), bend))
    pixels, ours, theirs = random_pixels(cameras), make_ray_generator(cameras), RayGenerator(cameras)
    with HostSyncs() as syncs:
        theirs(pixels)
    assert len(syncs.found) > 5
    batch, sampler = image_batch(), make_sampler(CentreCropPixelSampler, CentreCropPixelSamplerConfig())
    sampler.step = 3
    with HostSyncs() as syncs:
        sampler.sample(batch)
        ours(pixels)
    assert syncs.found == []


def image_batch(**more: torch.Tensor) -> dict[str, torch.Tensor]:
    images = torch.arange(5 * 6 * 7 * 4).view(5, 6, 7, 4).float()
    return {"image": images, "image_idx": torch.tensor([3, 1, 4, 0, 2]), **more}


def make_sampler(target: type[PixelSampler], config: PixelSamplerConfig) -> Any:
    return target(config, num_rays_per_batch=200, is_equirectangular=False, fisheye_crop_radius=None)


@pytest.mark.parametrize("more", [{}, {"depth_image": torch.rand(5, 6, 7, 1)}])
def test_pixels_are_nerfstudios(more: dict):
    """The same ones for the same seed."""
    batches = []
    for target, config in [
        (CentreCropPixelSampler, CentreCropPixelSamplerConfig()),
        (PixelSampler, PixelSamplerConfig()),
    ]:
        torch.manual_seed(0)
        batches.append(make_sampler(target, config).sample(image_batch(**more)))
    ours, theirs = batches
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key


def test_pixels_belong_to_their_images():
    batch = image_batch()
    pixels = make_sampler(CentreCropPixelSampler, CentreCropPixelSamplerConfig()).sample(batch)
    place = {int(i): k for k, i in enumerate(batch["image_idx"])}
    for color, (image, row, column) in zip(pixels["image"], pixels["indices"].tolist()):
        assert torch.equal(color, batch["image"][place[image], row, column])


def test_the_data_manager_uses_them(tmp_path: Path):
    parser = DemoDataParserConfig(data=tmp_path, resolution=8, num_train=5, num_val=2, num_test=1)
    manager = NerfDataManagerConfig(dataparser=parser, train_num_rays_per_batch=64, eval_num_rays_per_batch=32).setup()
    assert isinstance(manager, NerfDataManager)
    for rays, batch in (manager.next_train(0), manager.next_eval(0)):
        assert rays.metadata.keys() == {"directions_norm"}
        assert len(rays) == len(batch["image"]) == len(batch["indices"])
    distances = [math.dist(pose[:, 3].tolist(), (0, 0, 0)) for pose in manager.train_dataset.cameras.camera_to_worlds]
    assert manager.train_dataset.metadata["nearest_camera"] == pytest.approx(min(distances))
    assert isinstance(manager.train_ray_generator, PinholeRayGenerator)
    assert isinstance(manager.eval_ray_generator, PinholeRayGenerator)
    rays, batch = manager.next_train(0)
    cameras = manager.train_dataset.cameras
    torch.testing.assert_close(rays.directions, RayGenerator(cameras)(batch["indices"]).directions, rtol=0, atol=5e-7)
    for color, (image, row, column) in zip(batch["image"][:20], batch["indices"][:20].tolist()):
        assert torch.equal(color, manager.train_dataset[image]["image"][row, column])


def test_uploading_to_where_values_are_gives_them_back():
    values = torch.rand(3)
    assert upload(values, torch.device("cpu")) is values
