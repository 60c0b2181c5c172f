"""Where axes meet."""

import numpy as np
import pytest

from nerf_plugins.axes import meeting, share_in_front

TOWARDS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
TARGET = np.array([3.0, -2.0, 5.0])


def test_axes_along_the_three_ways_meet_and_spread_most():
    found = meeting(TARGET - 2.0 * TOWARDS, TOWARDS)
    np.testing.assert_allclose(found.point, TARGET, atol=1e-12)
    assert found.spread == pytest.approx(2 / 3)


def test_parallel_axes_do_not_spread():
    found = meeting(np.array([TARGET, TARGET + 2.0 * TOWARDS[0]]), TOWARDS[[2, 2]])
    assert found.spread == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(
        found.point, [4.0, -2.0, 0.0], atol=1e-12
    )  # the nearest to the origin of the line halfway


def test_the_share_in_front():
    views = TOWARDS * [[1.0], [-1.0], [1.0]]
    assert share_in_front(TARGET, TARGET - 2.0 * TOWARDS, views) == pytest.approx(2 / 3)
