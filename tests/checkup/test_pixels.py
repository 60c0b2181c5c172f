"""What pixels say, of made pictures."""

import numpy as np
import pytest
from PIL import Image

from nerf_plugins.checkup.pixels import (
    blur_remark,
    chosen,
    copy_remark,
    exposure_remark,
    look,
    look_at,
    neighbours_in_order,
    twin_remark,
)
from nerf_plugins.errors import InputError


def noise(seed: int, gain: float = 1.0, cells: int = 120) -> np.ndarray:
    """(120, 160, 3), of 60 to 120 before the gain."""
    coarse = np.random.default_rng(seed).uniform(60, 120, (cells, cells * 4 // 3, 3))
    return (np.kron(coarse, np.ones((120 // cells, 120 // cells, 1))) * gain).clip(0, 255).astype(np.uint8)


def looks(*pictures: np.ndarray):
    return [look_at(f"{k}.png", (picture, None)) for k, picture in enumerate(pictures)]


def test_exposure_is_in_stops_of_light():
    dark, bright = looks(noise(0), noise(0, gain=2.0))
    assert bright.exposure - dark.exposure == pytest.approx(2.2, abs=0.05)  # twice the value is 2^2.2 the light


def test_what_is_masked_or_transparent_does_not_count():
    left_dark = noise(0)
    left_dark[:, :80] = 0
    right = np.zeros((120, 160), bool)
    right[:, 80:] = True
    whole = look_at("a", (noise(0)[:, 80:], None)).exposure
    assert look_at("a", (left_dark, right)).exposure == pytest.approx(whole, abs=0.02)
    cut_out = np.dstack([left_dark, 255 * right.astype(np.uint8)])
    assert look_at("a", (cut_out, None)).exposure == pytest.approx(whole, abs=0.02)


def test_one_photo_that_is_brighter_than_its_neighbours():
    found = looks(*(noise(k, gain=1.9 if k == 4 else 1.0) for k in range(9)))
    remark = exposure_remark(found, neighbours_in_order(9))
    assert remark.is_odd
    assert "4.png +2.0" in remark.line
    assert "1 of 9 by more than one stop" in remark.line


def test_light_that_changes_all_the_time():
    found = looks(*(noise(k, gain=1.0 + 0.4 * (k % 2)) for k in range(9)))
    assert "changes from photo to photo" in exposure_remark(found, neighbours_in_order(9)).line
    assert not exposure_remark(looks(*map(noise, range(9))), neighbours_in_order(9)).is_odd


def test_neighbours_are_the_nearest_others():
    assert sorted(neighbours_in_order(9)[4]) == [1, 2, 3, 5, 6, 7]
    assert sorted(neighbours_in_order(3)[0]) == [1, 2]


def test_a_blurred_photo_is_named():
    remark = blur_remark(looks(noise(0), noise(1), noise(2), noise(3, cells=10)))
    assert remark.is_odd
    assert "1 of 4 photos" in remark.line
    assert "3.png (0." in remark.line
    assert not blur_remark(looks(noise(0), noise(1), noise(2))).is_odd


def test_twins_and_copies(tmp_path):
    remark = twin_remark(looks(noise(0, cells=10), noise(1, cells=10), noise(0, gain=1.01, cells=10)))
    assert remark is not None
    assert "2.png as 0.png" in remark.line
    assert twin_remark(looks(noise(0, cells=10), noise(1, cells=10))) is None

    paths = [tmp_path / f"{k}.png" for k in range(3)]
    for k, path in enumerate(paths):
        Image.fromarray(noise(k % 2)).save(path)
    remark = copy_remark(paths)
    assert remark is not None
    assert "1 photo is a copy of another file: 2.png of 0.png" in remark.line
    assert copy_remark(paths[:2]) is None
    assert copy_remark([paths[0], paths[0]]) is None


def test_a_cut_out_on_white_has_no_twins_by_its_background():
    pictures = []
    for left in (40, 46):
        picture = np.full((120, 160, 4), 255, np.uint8)
        picture[..., 3] = 0
        picture[50:60, left : left + 6] = (0, 0, 0, 255)
        pictures.append(picture)
    assert twin_remark(looks(*pictures)) is None


def test_many_or_large_photos_are_sampled():
    assert chosen(5, 10_000_000) == [0, 1, 2, 3, 4]
    assert len(chosen(1000, 1000)) == 200
    assert len(chosen(1000, 12_000_000)) == 83
    assert len(chosen(1000, 200_000_000)) == 20
    assert chosen(1000, 12_000_000)[::82] == [0, 999]


def test_broken_photos_are_said_and_the_others_seen():
    def read(i):
        if i == 1:
            raise InputError("1.png is broken")
        return noise(i), None

    seen, broken = look(["0.png", "1.png", "2.png"], read, [0, 1, 2])
    assert list(seen) == [0, 2]
    assert seen[2].name == "2.png"
    assert broken == ["1.png is broken"]
