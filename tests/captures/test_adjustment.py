"""The last adjustment's decisions; it is run in test_processing.py."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from nerf_plugins.captures import adjustment


@dataclass
class Camera:
    width: int = 200
    height: int = 100
    principal_point_x: float = 100.0
    principal_point_y: float = 50.0
    bogus: bool = False

    def has_bogus_params(self, *limits: float) -> bool:
        return self.bogus


def test_a_principal_point_that_went_far_is_a_misfit():
    assert not adjustment.is_misfit(Camera(principal_point_x=119.0))
    assert adjustment.is_misfit(Camera(principal_point_x=121.0))
    assert adjustment.is_misfit(Camera(principal_point_y=39.0))
    assert adjustment.is_misfit(Camera(bogus=True))


def test_more_parameters_have_to_fit_better_than_chance():
    """n ln(cost / freed) against k ln n, with n = 10,000 and k = 6: 55.3."""
    assert not adjustment.is_worth(1000.0, 1000.0 * np.exp(-55.0 / 10_000), 10_000, 6)
    assert adjustment.is_worth(1000.0, 1000.0 * np.exp(-55.5 / 10_000), 10_000, 6)


class Image:
    def __init__(self, camera_id: int, points: int):
        self.camera_id, self.num_points3D = camera_id, points


def test_only_well_seen_cameras_are_freed():
    counts = {1: [400] * 10, 2: [400] * 9, 3: [399] * 6 + [2000] * 4}
    images = [Image(camera, points) for camera, seen in counts.items() for points in seen]
    model = SimpleNamespace(reg_image_ids=lambda: range(len(images)), image=images.__getitem__)
    assert adjustment.well_seen(model, 400) == {1}
    assert adjustment.well_seen(model, 0) == {1, 3}
