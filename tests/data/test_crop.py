from dataclasses import replace

import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs

from nerf_plugins.data.crop import CropBox, make_crop_box
from nerf_plugins.errors import InputError

IDENTITY = torch.eye(4)[:3]
BOX = torch.tensor([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]])


def bundle(origins: list[list[float]], directions: list[list[float]], **bounds) -> RayBundle:
    o, d = torch.tensor(origins), torch.nn.functional.normalize(torch.tensor(directions), dim=-1)
    n = len(o)
    return RayBundle(o, d, torch.ones(n, 1), torch.zeros(n, 1, dtype=torch.long), **bounds)


def bounds(rays: RayBundle) -> list[tuple[float, float]]:
    assert rays.nears is not None
    assert rays.fars is not None
    return [(round(a, 4), round(b, 4)) for a, b in zip(rays.nears[:, 0].tolist(), rays.fars[:, 0].tolist())]


def test_rays_by_hand():
    rays = bundle(
        [[-5.0, 0, 0], [0.5, 0, 0], [0, 0, 9], [0, 5, 0], [5.0, 0, 0]],
        [[1.0, 0, 0], [1.0, 0, 0], [0, 0, -1.0], [1.0, 0, 0], [1.0, 0, 0]],
    )
    found = bounds(CropBox(BOX, IDENTITY, 1.0)(rays))
    assert found[:3] == [(4.0, 6.0), (0.0, 0.5), (6.0, 12.0)]  # from outside, from inside, along another axis
    assert all(near >= far for near, far in found[3:])  # past it, away from it


def test_bounds_that_are_narrower_stay():
    rays = bundle([[-5.0, 0, 0]] * 2, [[1.0, 0, 0]] * 2)
    rays.nears, rays.fars = torch.tensor([[4.5], [1.0]]), torch.tensor([[9.0], [5.5]])
    assert bounds(CropBox(BOX, IDENTITY, 1.0)(rays)) == [(4.5, 6.0), (4.0, 5.5)]


def test_the_box_is_in_the_datas_world():
    # The world is turned by 90 degrees around z (x -> y), moved by (0, 0, 10) and halved.
    turn = torch.tensor([[0.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 10.0]])
    crop = CropBox(BOX, turn, 0.5)
    # In the scene: x in [-1, 1], y in [-0.5, 0.5], z in [3.5, 6.5].
    rays = bundle([[-4.0, 0, 5], [0, -4.0, 5], [0, 0, 0]], [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    assert bounds(crop(rays)) == [(3.0, 5.0), (3.5, 4.5), (3.5, 6.5)]


def test_checkpoints_do_not_hold_it():
    assert not CropBox(BOX, IDENTITY, 1.0).state_dict()


def outputs() -> DataparserOutputs:
    """One camera at (0, 0, 4) in the scene that looks at the origin; the world is twice as large."""
    pose = IDENTITY.clone()[None]
    pose[0, 2, 3] = 4.0
    cameras = Cameras(pose, 10.0, 10.0, 4.0, 3.0, 8, 6, camera_type=CameraType.PERSPECTIVE)
    return DataparserOutputs([], cameras, dataparser_transform=IDENTITY, dataparser_scale=0.5)


def test_a_box_that_a_camera_sees():
    assert make_crop_box([-1.0, -1.0, 5.0, 1.0, 1.0, 7.0], outputs()).box.tolist() == [[-1, -1, 5], [1, 1, 7]]


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ([-1.0, -1.0, 9.0, 1.0, 1.0, 10.0], r"no training camera looks at it; the cameras stand around \(0, 0, 8\)"),
        ([-1.0, -1.0, 1.0, 1.0, 1.0, -1.0], "give x y z of the smallest and then of the largest corner"),
        ([-1.0, -1.0, -1.0, 1.0, 1.0, float("nan")], "smallest"),
    ],
)
def test_bad_boxes(corners: list[float], message: str):
    with pytest.raises(InputError, match=f"crop_box .*{message}"):
        make_crop_box(corners, replace(outputs()))
