"""Which mapper, which component, and what its cameras are; poses are found in test_processing.py."""

from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from nerf_plugins.captures import mapping
from nerf_plugins.captures.agreement import Agreement
from nerf_plugins.captures.job import CameraGroup, Intrinsics, Job
from nerf_plugins.errors import InputError


@dataclass
class Model:
    images: int
    points: int
    lengths: list[int] = field(default_factory=list)

    @property
    def points3D(self):
        return {i: SimpleNamespace(track=SimpleNamespace(length=lambda n=n: n)) for i, n in enumerate(self.lengths)}

    def num_reg_images(self) -> int:
        return self.images

    def num_points3D(self) -> int:
        return self.points


def test_the_largest_component_is_taken_not_the_first():
    models = [Model(2, 900), Model(86, 100), Model(86, 300), Model(5, 50)]
    assert mapping.largest_first(models) == [models[2], models[1], models[3], models[0]]


def test_a_component_within_a_larger_one_is_none():
    found = mapping.own_images([{"a", "b", "c"}, {"b", "c"}, {"c", "d"}])
    assert found == [{"a", "b", "c"}, {"d"}]


@dataclass
class Camera:
    model: SimpleNamespace
    params: list[float]
    width: int = 200
    height: int = 100


def test_cameras_become_opencvs():
    full = Camera(SimpleNamespace(name="OPENCV"), [10.0, 11.0, 5.0, 6.0, 0.1, 0.2, 0.3, 0.4])
    assert mapping.intrinsics(full) == Intrinsics(200, 100, 10.0, 11.0, 5.0, 6.0, 0.1, 0.2, 0.3, 0.4)
    simple = Camera(SimpleNamespace(name="SIMPLE_RADIAL"), [10.0, 5.0, 6.0, 0.1])
    assert mapping.intrinsics(simple) == Intrinsics(200, 100, 10.0, 10.0, 5.0, 6.0, 0.1, 0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="camera model FOV"):
        mapping.intrinsics(Camera(SimpleNamespace(name="FOV"), []))


@pytest.mark.parametrize(
    ("mapper", "agreed", "seen", "expected"),
    [
        ("auto", 0.95, {"global": [3] * 5}, "global"),
        ("auto", 0.94, {"global": [3] * 5, "incremental": [3] * 6}, "incremental"),
        ("auto", 0.94, {"global": [3] * 6, "incremental": [3] * 5}, "global"),
        ("auto", 0.94, {"global": [3] * 5, "incremental": [4] * 4 + [2] * 9}, "incremental"),
        ("auto", 0.94, {"global": [3] * 5, "incremental": [2] * 99}, "global"),
        ("auto", 0.94, {"global": None, "incremental": [3]}, "incremental"),
        ("auto", 0.94, {"global": None, "incremental": None}, None),
        ("global", 0.1, {"global": [3]}, "global"),
        ("incremental", 0.1, {"incremental": [3]}, "incremental"),
    ],
)
def test_poses_that_matches_contradict_are_found_in_another_way(tmp_path, monkeypatch, mapper, agreed, seen, expected):
    """Of each mapper how many photos see each point that it finds; None: it finds nothing; a mapper without one must not be asked."""
    models = {name: Model(9, 10, lengths or []) for name, lengths in seen.items()}

    def mapped(name):
        (tmp_path / "left").touch()
        return [] if seen[name] is None else [models[name]]

    monkeypatch.setattr(mapping, "_by_global", lambda *_: mapped("global"))
    monkeypatch.setattr(mapping, "_by_incremental", lambda *_: mapped("incremental"))
    monkeypatch.setattr(
        mapping, "agreement", lambda *_: Agreement(Counter(x=int(200 * agreed)), Counter(x=200), Counter(), total=100)
    )
    group = CameraGroup(("a.jpg",), 40, 30, 30.0, True)
    job = Job(tmp_path, tmp_path, None, (group,), "exhaustive", mapper, 20, 1600, 4096)
    found = mapping.best_models(job, tmp_path / "db", tmp_path, {"a.jpg": 1}, lambda *_: None)
    assert found == ([] if expected is None else [models[expected]])
    assert not any(tmp_path.iterdir())
