"""What is read of a run's dataset."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.configs.method_configs import all_methods

from nerf_plugins.camera_paths.training_views import Views, data_folder, read_views
from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.errors import InputError
from tests.camera_paths.rigs import ring


def views(camera_type=CameraType.PERSPECTIVE):
    poses = ring(np.zeros(3), 2.0, 1.0, 3)
    c2w = torch.from_numpy(poses[:, :3]).float()
    cameras = Cameras(c2w, fx=300.0, fy=250.0, cx=100.0, cy=50.0, width=200, height=100, camera_type=camera_type)
    return Views(cameras, poses, [Path("a.png")] * 3, ["a.png"] * 3)


def test_the_field_of_view_is_vertical_and_pixels_become_squares():
    np.testing.assert_allclose(views().fovs, np.degrees(2.0 * np.arctan(50.0 / 250.0)))
    width, height = views().size
    assert height == 100.0
    # The same horizontal field of view at the focal length that a renderer of square pixels has.
    assert 0.5 * width / 250.0 == pytest.approx(100.0 / 300.0)


def test_cameras_without_a_field_of_view():
    with pytest.raises(InputError, match="give --fov"):
        _ = views(CameraType.EQUIRECTANGULAR).fovs


@pytest.mark.parametrize("method", ["vanilla-nerf", "nerfacto", "splatfacto"])
def test_the_runs_of_other_methods(tmp_path, method):
    config = deepcopy(all_methods[method])
    parser = DemoDataParserConfig(resolution=20, num_train=8, num_val=1, num_test=2)
    config.pipeline.datamanager.dataparser = parser
    config.pipeline.datamanager.data = tmp_path
    train, test = read_views(config, "train"), read_views(config, "test")
    assert [len(train.poses), len(test.poses)] == [8, 2]
    np.testing.assert_allclose(train.poses[:, :3], train.cameras.camera_to_worlds, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(train.poses[:, :3, :3], axis=1), 1.0, rtol=1e-12)
    assert train.names[3] == train.paths[3].relative_to(tmp_path).as_posix()
    assert data_folder(config) == tmp_path
