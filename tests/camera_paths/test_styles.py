import pytest

from nerf_plugins.camera_paths.styles import styles_along
from nerf_plugins.errors import InputError

NAMES = ["images/a.png", "images/b.png", "images/c.png"]


def test_looks_are_gone_through_evenly_from_the_first_view_to_the_last():
    a, b, c = NAMES
    assert styles_along(["a", "b", "c"], 5, NAMES) == [
        {a: 1.0},
        {a: 0.5, b: 0.5},
        {b: 1.0},
        {b: 0.5, c: 0.5},
        {c: 1.0},
    ]
    assert styles_along(["mean", "c"], 2, NAMES) == [{"mean": 1.0}, {c: 1.0}]


def test_one_look_stays_and_none_says_nothing():
    assert styles_along(["b"], 2, NAMES) == [{"images/b.png": 1.0}] * 2
    assert styles_along(["a", "b"], 1, NAMES) == [{"images/a.png": 1.0}]
    assert styles_along([], 3, NAMES) == []


def test_an_unknown_photo_is_named():
    with pytest.raises(InputError, match="--style: no training photo is called 'd'"):
        styles_along(["a", "d"], 3, NAMES)
