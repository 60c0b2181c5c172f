"""The reconstructing process's own decisions; it is run in test_command.py."""

from dataclasses import dataclass
from types import SimpleNamespace

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


def test_cameras_become_opencvs():
    full = Camera(SimpleNamespace(name="OPENCV"), [10.0, 11.0, 5.0, 6.0, 0.1, 0.2, 0.3, 0.4])
    assert reconstruction.intrinsics(full) == Intrinsics(200, 100, 10.0, 11.0, 5.0, 6.0, 0.1, 0.2, 0.3, 0.4)
    simple = Camera(SimpleNamespace(name="SIMPLE_RADIAL"), [10.0, 5.0, 6.0, 0.1])
    assert reconstruction.intrinsics(simple) == Intrinsics(200, 100, 10.0, 10.0, 5.0, 6.0, 0.1, 0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="camera model FOV"):
        reconstruction.intrinsics(Camera(SimpleNamespace(name="FOV"), []))


def test_memory_bounds_the_threads(tmp_path, monkeypatch):
    group = CameraGroup(("a.jpg",), 4032, 3024, 3000.0, True)
    job = Job(tmp_path, tmp_path, None, (group,), "exhaustive", "incremental", 20, 1600, 4096)
    monkeypatch.setattr(reconstruction.os, "sched_getaffinity", lambda _: range(64), raising=False)
    one = reconstruction.MEMORY_PER_PIXEL * 1600 * 1200
    monkeypatch.setattr(reconstruction, "_free_memory", lambda: 20.5 * one)
    assert reconstruction._threads(job) == 10
    monkeypatch.setattr(reconstruction, "_free_memory", lambda: 0.1 * one)
    assert reconstruction._threads(job) == 1
