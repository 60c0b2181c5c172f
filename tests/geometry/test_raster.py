import numpy as np
import pytest

from nerf_plugins.geometry import raster
from nerf_plugins.geometry.raster import rasterize


def drawn(corners, height: int, width: int) -> list[tuple[int, int, int, np.ndarray]]:
    """(face, row, column, weights) in order."""
    parts = [zip(*part) for part in rasterize(np.asarray(corners, float), height, width)]
    return sorted((x for part in parts for x in part), key=lambda x: x[:3])


def test_a_triangle_by_hand():
    """Of half a square of 3 pixels' side, the centres on the long side are in; weights are the corner's shares."""
    found = drawn([[[0, 0], [3, 0], [0, 3]]], 4, 4)
    assert [x[1:3] for x in found] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0)]
    np.testing.assert_allclose(found[0][3], [2 / 3, 1 / 6, 1 / 6], atol=1e-12)
    np.testing.assert_allclose(found[2][3], [0.0, 5 / 6, 1 / 6], atol=1e-12)


@pytest.mark.parametrize("at_once", [3, 1 << 20])
def test_random_triangles_turned_both_ways_against_a_test_of_every_pixel(monkeypatch, at_once):
    monkeypatch.setattr(raster, "PIXELS_AT_ONCE", at_once)
    corners = np.random.default_rng(0).uniform(-4.0, 14.0, (40, 3, 2))
    row, column = np.mgrid[:8, :10].reshape(2, -1)
    centres = np.stack([column, row, row], axis=1) + 0.5
    centres[:, 2] = 1.0
    expected = []
    for face, triangle in enumerate(corners):
        weights = centres @ np.linalg.inv(np.column_stack([triangle, np.ones(3)]))
        expected += [(face, row[i], column[i], weights[i]) for i in np.flatnonzero((weights >= 0).all(axis=1))]
    found = drawn(corners, 8, 10)
    assert [x[:3] for x in found] == [x[:3] for x in expected]
    np.testing.assert_allclose([x[3] for x in found], [x[3] for x in expected], atol=1e-9)


def test_triangles_without_area_or_outside_have_no_pixels():
    assert drawn([[[1, 1], [2, 2], [3, 3]], [[9, 9], [12, 9], [9, 12]], [[2.5, 2.5]] * 3], 4, 4) == []
    assert drawn(np.zeros((0, 3, 2)), 4, 4) == []
