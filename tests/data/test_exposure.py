import math

import pytest
import torch
from nerfstudio.cameras.cameras import Cameras

from nerf_plugins.data.exposure import exposure_spread, nearest_photos


def ring(n: int, degrees: float, distance: float = 3.0) -> Cameras:
    """Cameras around the origin, so many degrees apart, that look at it."""
    angles = [math.radians(degrees * i) for i in range(n)]
    backs = torch.tensor([[math.cos(a), math.sin(a), 0.0] for a in angles])
    rights = torch.tensor([[-math.sin(a), math.cos(a), 0.0] for a in angles])
    poses = torch.stack([rights, torch.tensor([0.0, 0.0, 1.0]).expand(n, 3), backs, distance * backs], dim=-1)
    return Cameras(camera_to_worlds=poses, fx=10.0, fy=10.0, cx=4.0, cy=3.0, width=8, height=6)


def grey(linear: float) -> torch.Tensor:
    return torch.full((6, 8, 3), linear ** (1 / 2.2))


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.25])
def test_the_spread_is_in_stops(factor: float):
    images = [grey(0.5 if i % 2 else 0.5 * factor) for i in range(36)]
    assert exposure_spread(images, ring(36, 10.0)) == pytest.approx(-math.log2(factor), abs=0.01)
    as_bytes = [(255 * image).round().to(torch.uint8) for image in images]
    assert exposure_spread(as_bytes, ring(36, 10.0)) == pytest.approx(-math.log2(factor), abs=0.05)


def test_what_changes_slowly_around_a_scene_is_no_difference_in_exposure():
    images = [grey(0.5 + 0.4 * math.sin(math.radians(10 * i))) for i in range(36)]
    assert exposure_spread(images, ring(36, 10.0)) < 0.2


@pytest.mark.parametrize(("n", "degrees"), [(1, 10.0), (7, 10.0), (12, 30.0)], ids=["one", "few", "far apart"])
def test_photos_that_see_something_else_do_not_say(n: int, degrees: float):
    images = [grey(0.5 if i % 2 else 0.1) for i in range(n)]
    assert exposure_spread(images, ring(n, degrees)) is None


def test_what_is_transparent_does_not_count():
    images = []
    for i in range(36):
        alpha = torch.zeros(6, 8, 1)
        alpha[:, :4] = 1.0
        image = torch.cat([grey(0.5), alpha], dim=-1)
        image[:, 4:, :3] = 0.9 if i % 2 else 0.0
        images.append(image)
    assert exposure_spread(images, ring(36, 10.0)) == pytest.approx(0.0, abs=1e-6)


def test_the_nearest_photo_looks_the_same_way():
    photos = ring(4, 90.0)
    assert nearest_photos(ring(36, 10.0)[torch.tensor([1, 8, 19, 28])], photos).tolist() == [0, 1, 2, 3]
