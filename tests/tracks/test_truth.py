"""Known motion, and the errors of tracks."""

from pathlib import Path

import numpy as np
import pytest

from nerf_plugins.errors import InputError
from nerf_plugins.tracks.truth import Motion, errors, read_motion

TIMES = np.array([0.0, 0.5, 1.0])
CORNERS = np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0], [1.0, 1.0, 0.0]])


def test_errors_are_shares_of_the_first_bounding_box():
    truth = Motion(TIMES, np.stack([CORNERS, CORNERS + 1.0, CORNERS + 2.0]))
    assert truth.size == 5.0
    tracks = truth.points.copy()
    tracks[0] += 100.0  # where they start does not count
    tracks[1, :, 2] += [0.1, 0.2, 0.5]
    tracks[2, 0, 0] -= 1.0
    found = errors(tracks, truth)
    np.testing.assert_allclose(found.medians, [0.04, 0.0])
    assert found.median == pytest.approx(0.03)  # of 0, 0, 0.02, 0.04, 0.1, 0.2
    assert found.near == pytest.approx(4 / 6)


def write(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def test_half_precision_is_read(tmp_path: Path):
    points = np.zeros((3, 2, 3), np.float16)
    motion = read_motion(write(tmp_path / "m.npz", times=TIMES, points=points))
    assert motion.points.dtype == np.float64
    np.testing.assert_array_equal(motion.times, TIMES)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"times": TIMES}, "cannot be read"),
        ({"times": TIMES, "points": np.zeros((2, 5, 3))}, "the shape"),
        ({"times": TIMES, "points": np.zeros((3, 5, 2))}, "the shape"),
        ({"times": TIMES[::-1], "points": np.zeros((3, 5, 3))}, "ascending"),
        ({"times": 2.0 * TIMES, "points": np.zeros((3, 5, 3))}, r"in \[0, 1\]"),
        ({"times": TIMES, "points": np.full((3, 5, 3), np.nan)}, "not finite"),
    ],
)
def test_what_is_no_motion_is_named(tmp_path: Path, arrays, message):
    with pytest.raises(InputError, match=message):
        read_motion(write(tmp_path / "m.npz", **arrays))


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"no\.npz"):
        read_motion(tmp_path / "no.npz")
