"""Batches on CUDA: the same as on the CPU, and no host sync in preparing one."""

from pathlib import Path

import pytest
import torch

from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.data.rays import make_ray_generator
from nerf_plugins.dataparsers.demo import DemoDataParserConfig

from ..data.test_rays import random_cameras, random_pixels
from .test_ops_cuda import no_host_sync

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.parametrize("pixels_on", ["cpu", "cuda"])
def test_rays_are_the_same(pixels_on: str):
    cameras = random_cameras(7, 400)
    pixels = random_pixels(cameras)
    on_cpu = make_ray_generator(cameras)(pixels)
    on_cuda = make_ray_generator(cameras.to("cuda:0"))(pixels.to(pixels_on))
    assert torch.equal(on_cuda.origins.cpu(), on_cpu.origins)
    torch.testing.assert_close(on_cuda.directions.cpu(), on_cpu.directions, rtol=0, atol=5e-7)
    assert torch.equal(on_cuda.camera_indices.cpu(), on_cpu.camera_indices)


@pytest.mark.parametrize("images_on_gpu", [False, True])
def test_a_batch_is_prepared_without_a_host_sync(tmp_path: Path, images_on_gpu: bool):
    parser = DemoDataParserConfig(data=tmp_path, resolution=8, num_train=5, num_val=2, num_test=1)
    config = NerfDataManagerConfig(dataparser=parser, train_num_rays_per_batch=64, images_on_gpu=images_on_gpu)
    manager = config.setup(device="cuda:0")
    manager.next_train(0)
    with no_host_sync():
        rays, batch = manager.next_train(1)
    assert rays.origins.is_cuda
    assert batch["image"].is_cuda
    for color, (image, row, column) in zip(batch["image"].cpu(), batch["indices"].tolist()):
        assert torch.equal(color, manager.train_dataset[image]["image"][row, column])
