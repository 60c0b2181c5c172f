"""How well a model with codes of photos renders a held-out photo, whose code nobody knows.

``psnr`` of the metrics is always that of the mean code, on the whole photo, and nothing is fitted for it. Beside it there are

* ``psnr_mean_code``: the same, by its name, and ``psnr_mean_right_half``: of the right half alone, to compare with the last;
* ``psnr_nearest_code``: with the code of the training photo whose camera is most nearly alike, on the whole photo;
* ``psnr_fitted_right_half``: the code fitted to the left half of the held-out photo, all else as it was trained; scored on the right half.

Source: Martin-Brualla et al., NeRF in the Wild, 2021, section 5 (the half-image protocol).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from nerfstudio.cameras.cameras import Cameras
from torch import Tensor, nn

from nerf_plugins.data.rays import view_rays
from nerf_plugins.fields.codes import ImageCodes
from nerf_plugins.models.looks import showing
from nerf_plugins.models.metrics import psnr

if TYPE_CHECKING:
    from nerf_plugins.models.volumetric import VolumetricModel

FIT_STEPS = 150
"""Steps of Adam that a code is fitted for,"""
FIT_RAYS = 1024
"""rays of each,"""
FIT_RATE = 0.1
"""and the rate that falls to 0 along a cosine."""


def photo_psnrs(
    model: VolumetricModel, camera: Cameras, image: Float[Tensor, "h w 3"], rgb: Float[Tensor, "h w 3"], nearest: int
) -> dict[str, float]:
    """The PSNRs of a held-out photo, by the names above.

    Args:
        model: with codes of photos.
        camera: the photo's.
        image: the photo.
        rgb: what the model renders with the mean code.
        nearest: index of the training photo that is taken most nearly alike.
    """
    assert model.looks is not None
    half = image.shape[1] // 2
    one_hot = torch.eye(len(model.looks.names))[nearest]
    with model.looks.shown(one_hot):
        as_nearest = model.render(camera)["rgb"].to(rgb)
    codes = color_codes(model)
    with showing(codes, fit_codes(model, codes, camera, image[:, :half])):
        fitted = model.render(camera)["rgb"].to(rgb)
    return {
        "psnr_mean_code": float(psnr(image, rgb)),
        "psnr_mean_right_half": float(psnr(image[:, half:], rgb[:, half:])),
        "psnr_nearest_code": float(psnr(image, as_nearest)),
        "psnr_fitted_right_half": float(psnr(image[:, half:], fitted[:, half:])),
    }


def color_codes(model: VolumetricModel) -> list[ImageCodes]:
    """The codes that only colours see: those that may be fitted."""
    colors = {id(parameter) for parameter in model.parts().get("color", [])}
    return [codes for codes in model.modules() if isinstance(codes, ImageCodes) and id(codes.weight) in colors]


def fit_codes(
    model: VolumetricModel, codes: Sequence[ImageCodes], camera: Cameras, left: Float[Tensor, "h half 3"]
) -> list[Float[Tensor, "_"]]:
    """Codes that let the model render the left part of a photo, beginning at those of pictures; the same for the same model.

    Args:
        model: in evaluation; none of its parameters is changed.
        codes: to fit.
        camera: the photo's.
        left: the photo from its left edge on.
    """
    height, width = left.shape[:2]
    # Made without gradient and outside of any inference mode, so that rays may enter autograd.
    bundle = view_rays(camera)[:height, :width].flatten().to(model.device)
    colors = left.reshape(-1, 3).to(model.device)
    draw = torch.Generator().manual_seed(0)
    with torch.enable_grad(), _held(model):
        fitted = [c.of_pictures().detach().clone().requires_grad_(True) for c in codes]
        optimizer = torch.optim.Adam(fitted, lr=FIT_RATE)
        with showing(codes, fitted):
            for step in range(FIT_STEPS):
                optimizer.param_groups[0]["lr"] = 0.5 * FIT_RATE * (1.0 + math.cos(math.pi * step / FIT_STEPS))
                chosen = torch.randint(len(colors), (FIT_RAYS,), generator=draw).to(model.device)
                optimizer.zero_grad()
                F.mse_loss(model.colors_of(bundle[chosen]), colors[chosen]).backward()
                optimizer.step()
    return [code.detach() for code in fitted]


@contextmanager
def _held(model: nn.Module) -> Iterator[Any]:
    """While it is entered, no parameter of the model gets a gradient."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
