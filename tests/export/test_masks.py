from pathlib import Path

import numpy as np
import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.scene_box import SceneBox
from PIL import Image

from nerf_plugins.data.dataset import CheckedDataset
from nerf_plugins.errors import InputError
from nerf_plugins.export.masks import inside_masks, to_camera
from nerf_plugins.geometry.cameras import project

SIZE = 40


def outputs(
    folder: Path, masks, distortion=None, camera_type=CameraType.PERSPECTIVE, x: list[float] | None = None
) -> DataparserOutputs:
    """One camera a mask, all at z = 4 (and x) and looking along -z; the origin is amid the image, 10 pixels are 1 unit there."""
    names = []
    for i, mask in enumerate(masks):
        names.append(folder / f"{i}.png")
        rgb = np.full((SIZE, SIZE, 3), 90, np.uint8)
        pixels = (
            rgb if mask is None else np.concatenate([rgb, np.where(mask, 255, 0).astype(np.uint8)[..., None]], axis=2)
        )
        Image.fromarray(pixels).save(names[-1])
    poses = torch.eye(4)[:3].repeat(len(names), 1, 1)
    poses[:, 2, 3] = 4.0
    poses[:, 0, 3] = torch.tensor(x or [0.0] * len(names))
    cameras = Cameras(poses, 40.0, 40.0, 20.0, 20.0, SIZE, SIZE, distortion_params=distortion, camera_type=camera_type)
    return DataparserOutputs(names, cameras, scene_box=SceneBox(aabb=torch.tensor([[-1.0] * 3, [1.0] * 3])))


def left() -> np.ndarray:
    """The object fills columns 0 ... 19, that is x < 0."""
    return np.broadcast_to(np.arange(SIZE) < 20, (SIZE, SIZE))


def keep(folder: Path, masks, points, max_outside=0.0, margin=0, **options) -> list[bool]:
    dataset = CheckedDataset(outputs(folder, masks, **options))
    return inside_masks(np.asarray(points, float), dataset, max_outside, margin).tolist()


def test_points_outside_the_mask_are_dropped(tmp_path: Path):
    points = [[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [-0.05, 1.0, 0.0], [0.05, 1.0, 0.0]]
    assert keep(tmp_path, [left()], points) == [True, False, True, False]


def test_rows_go_down(tmp_path: Path):
    assert keep(tmp_path, [left().T], [[0.0, 0.5, 0.0], [0.0, -0.5, 0.0]]) == [True, False]


def test_the_margin_widens_the_mask(tmp_path: Path):
    points = [[0.25, 0.0, 0.0], [0.35, 0.0, 0.0]]  # columns 22 and 23
    assert keep(tmp_path, [left()], points, margin=3) == [True, False]


def test_most_and_any(tmp_path: Path):
    masks, points = [left(), left(), ~left()], [[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0]]
    assert keep(tmp_path, masks, points, max_outside=0.5) == [True, False]
    assert keep(tmp_path, masks, points, max_outside=0.0) == [False, False]


def test_views_that_do_not_have_a_point_do_not_count(tmp_path: Path):
    """Beside the image, and behind the camera."""
    assert keep(tmp_path, [left()], [[3.0, 0.0, 0.0], [0.5, 0.0, 8.0]]) == [True, True]
    masks, x = [left()] * 3, [0.0, 50.0, 50.0]
    assert keep(tmp_path, masks, [[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0]], max_outside=0.5, x=x) == [False, True]


def test_images_without_alpha(tmp_path: Path):
    assert keep(tmp_path, [None, left()], [[0.5, 0.0, 0.0]]) == [False]
    with pytest.raises(InputError, match="no training image has an alpha channel"):
        keep(tmp_path, [None], [[0.5, 0.0, 0.0]])


def test_other_cameras_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"of type FISHEYE: .* need perspective ones"):
        keep(tmp_path, [left()], [[0.5, 0.0, 0.0]], camera_type=CameraType.FISHEYE)


def test_a_lens_is_undone_by_nerfstudios_rays(tmp_path: Path):
    """Points along the rays of pixels' centres are at those pixels."""
    distortion = torch.tensor([0.1, -0.05, 0.01, 0.0, 0.02, -0.03])
    cameras = outputs(tmp_path, [left()], distortion=distortion).cameras
    rays = cameras.generate_rays(0).flatten()
    row, column = np.divmod(np.arange(SIZE * SIZE), SIZE)
    for distance in (2.0, 6.0):
        pixels = project((rays.origins + distance * rays.directions).double().numpy(), to_camera(cameras[0]))
        assert pixels.in_image.all()
        np.testing.assert_array_equal(pixels.row, row)
        np.testing.assert_array_equal(pixels.column, column)
