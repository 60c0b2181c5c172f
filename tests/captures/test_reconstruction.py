"""The reconstructing process's own decisions; it is run in test_command.py."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from nerf_plugins.captures import reconstruction
from nerf_plugins.captures.job import CameraGroup, Intrinsics, Job
from nerf_plugins.errors import InputError


@dataclass
class Model:
    images: int
    points: int

    def num_reg_images(self) -> int:
        return self.images

    def num_points3D(self) -> int:
        return self.points


def test_the_largest_component_is_taken_not_the_first():
    models = [Model(2, 900), Model(86, 100), Model(86, 300), Model(5, 50)]
    assert reconstruction.largest_first(models) == [models[2], models[1], models[3], models[0]]


def test_a_component_within_a_larger_one_is_none():
    found = reconstruction.own_images([{"a", "b", "c"}, {"b", "c"}, {"c", "d"}])
    assert found == [{"a", "b", "c"}, {"d"}]


@dataclass
class Camera:
    model: SimpleNamespace
    params: list[float]
    width: int = 200
    height: int = 100
    principal_point_x: float = 100.0
    principal_point_y: float = 50.0
    bogus: bool = False

    def has_bogus_params(self, *limits: float) -> bool:
        return self.bogus


def test_cameras_become_opencvs():
    full = Camera(SimpleNamespace(name="OPENCV"), [10.0, 11.0, 5.0, 6.0, 0.1, 0.2, 0.3, 0.4])
    assert reconstruction.intrinsics(full) == Intrinsics(200, 100, 10.0, 11.0, 5.0, 6.0, 0.1, 0.2, 0.3, 0.4)
    simple = Camera(SimpleNamespace(name="SIMPLE_RADIAL"), [10.0, 5.0, 6.0, 0.1])
    assert reconstruction.intrinsics(simple) == Intrinsics(200, 100, 10.0, 10.0, 5.0, 6.0, 0.1, 0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="camera model FOV"):
        reconstruction.intrinsics(Camera(SimpleNamespace(name="FOV"), []))


def test_a_principal_point_that_went_far_is_a_misfit():
    model = SimpleNamespace(name="OPENCV")
    assert not reconstruction._is_misfit(Camera(model, [], principal_point_x=119.0))
    assert reconstruction._is_misfit(Camera(model, [], principal_point_x=121.0))
    assert reconstruction._is_misfit(Camera(model, [], principal_point_y=39.0))
    assert reconstruction._is_misfit(Camera(model, [], bogus=True))


def test_more_parameters_have_to_fit_better_than_chance():
    """n ln(cost / freed) against k ln n, with n = 10,000 and k = 6: 55.3."""
    assert not reconstruction.is_worth(1000.0, 1000.0 * np.exp(-55.0 / 10_000), 10_000, 6)
    assert reconstruction.is_worth(1000.0, 1000.0 * np.exp(-55.5 / 10_000), 10_000, 6)


class Image:
    def __init__(self, camera_id: int, points: int):
        self.camera_id, self.num_points3D = camera_id, points


def test_only_well_seen_cameras_are_freed():
    counts = {1: [400] * 10, 2: [400] * 9, 3: [399] * 6 + [2000] * 4}
    images = [Image(camera, points) for camera, seen in counts.items() for points in seen]
    model = SimpleNamespace(reg_image_ids=lambda: range(len(images)), image=images.__getitem__)
    assert reconstruction._well_seen(model) == {1}


def test_memory_bounds_the_threads(tmp_path, monkeypatch):
    group = CameraGroup(("a.jpg",), 4032, 3024, 3000.0, True)
    job = Job(tmp_path, tmp_path, None, (group,), "exhaustive", "incremental", 20, 1600, 4096)
    monkeypatch.setattr(reconstruction.os, "sched_getaffinity", lambda _: range(64), raising=False)
    one = reconstruction.MEMORY_PER_PIXEL * 1600 * 1200
    monkeypatch.setattr(reconstruction, "_free_memory", lambda: 20.5 * one)
    assert reconstruction._threads(job) == 10
    monkeypatch.setattr(reconstruction, "_free_memory", lambda: 0.1 * one)
    assert reconstruction._threads(job) == 1
