"""Fitting a picture on CUDA."""

import pytest
import torch

from nerf_plugins.image_fitting.field import picture_hash, picture_mlp
from nerf_plugins.image_fitting.fitting import fit_picture
from nerf_plugins.image_fitting.options import PictureHashOptions, PictureMLPOptions
from nerf_plugins.image_fitting.pictures import demo_picture

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@pytest.mark.parametrize("name", ["mlp", "hash"])
def test_a_picture_is_learnt_without_waiting_for_the_device(name):
    torch.manual_seed(0)
    target = demo_picture(64)
    field = picture_mlp(PictureMLPOptions()) if name == "mlp" else picture_hash(PictureHashOptions(), 64)
    field = field.cuda()
    fit_picture(field, target, steps=2, snapshot_steps=[], lr=5e-3)  # compiles the kernels

    def forbid_waiting(step: int, _: object) -> None:
        torch.cuda.set_sync_debug_mode("error" if 0 < step < 299 else "default")

    try:
        fit = fit_picture(field, target, steps=300, snapshot_steps=[300], lr=5e-3, on_step=forbid_waiting)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert fit.snapshots[-1].psnr > (22.0 if name == "mlp" else 30.0)
    assert fit.losses.device.type == "cpu"
