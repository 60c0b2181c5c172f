"""How differently photos of one scene are exposed or lit, measured on photos from nearby, which see nearly the same."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from nerfstudio.cameras.cameras import Cameras
from torch import Tensor

_CLOSE = 0.4
_FEWEST_PAIRS = 8
_PIXELS_A_SIDE = 128
_DARKEST = 1e-3  # a black photo is -10 stops, not minus infinity


def exposure_spread(images: Iterable[Tensor], cameras: Cameras) -> float | None:
    """Median difference of brightness between each photo and the nearest one, in stops (factors of 2).

    Only photos whose nearest one sees nearly the same count: the sum of :func:`view_differences` is at most 0.4.

    Args:
        images: (h, w, 3 or 4) each, sRGB, in [0, 1] or 0 ... 255; where alpha is 0 nothing counts.
        cameras: theirs.

    Returns:
        The spread; None where fewer than 8 photos count, since others differ by what they show.
    """
    if len(cameras) < 2:
        return None
    differences = view_differences(cameras, cameras).fill_diagonal_(float("inf"))
    nearest = differences.min(dim=1)
    counts = nearest.values <= _CLOSE
    if int(counts.sum()) < _FEWEST_PAIRS:
        return None
    stops = torch.tensor([_stops(image) for image in images])
    return float((stops - stops[nearest.indices]).abs()[counts].median())


def view_differences(cameras: Cameras, others: Cameras) -> Float[Tensor, "n m"]:
    """How differently cameras look at a scene: distance over the median distance of ``others`` from their middle, plus the length of the
    difference of their unit directions.
    """
    positions, backs = cameras.camera_to_worlds[..., 3].cpu(), cameras.camera_to_worlds[..., 2].cpu()
    places, turned = others.camera_to_worlds[..., 3].cpu(), others.camera_to_worlds[..., 2].cpu()
    radius = (places - places.median(0).values).norm(dim=-1).median().clamp(min=1e-6)
    return torch.cdist(positions, places) / radius + torch.cdist(backs, turned)


def nearest_photos(cameras: Cameras, photos: Cameras) -> Int[Tensor, "n"]:
    """For each camera the index of the photo that is taken most nearly alike; see :func:`view_differences`."""
    return view_differences(cameras, photos).argmin(dim=1)


def _stops(image: Tensor) -> float:
    """Logarithm to base 2 of the mean luminance, of some of the pixels."""
    stride = max(1, max(image.shape[:2]) // _PIXELS_A_SIDE)
    some = image[::stride, ::stride].cpu().double()
    some = some if image.is_floating_point() else some / 255.0
    alpha = some[..., 3:] if some.shape[-1] == 4 else torch.ones_like(some[..., :1])
    luminance = some[..., :3] ** 2.2 @ torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)
    mean = (luminance * alpha[..., 0]).sum() / alpha.sum().clamp(min=1e-6)
    return float(torch.log2(mean + _DARKEST))
