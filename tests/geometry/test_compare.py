import numpy as np
import pytest

from nerf_plugins.geometry.compare import compare, found_parts
from nerf_plugins.geometry.sampling import Points, sample_scene
from nerf_plugins.scenes import Material, Placed, Scene, Sphere

X = np.array([[1.0, 0.0, 0.0]])


def test_by_hand():
    """Points on a line: M = {0, 1, 10}, T = {0.5, 2}. d(M, T) = 0.5, 0.5, 8; d(T, M) = 0.5, 1."""
    mesh, truth = Points(np.array([[0.0], [1.0], [10.0]]) * X), Points(np.array([[0.5], [2.0]]) * X)
    result = compare(mesh, truth, (0.6, 2.0))
    assert result.accuracy == pytest.approx(3.0)
    assert result.completeness == pytest.approx(0.75)
    assert result.chamfer == pytest.approx(1.875)
    assert [(f.precision, f.recall) for f in result.f_scores] == [(2 / 3, 0.5), (2 / 3, 1.0)]
    assert [f.f_score for f in result.f_scores] == pytest.approx([4 / 7, 0.8])
    assert result.normal_error is result.sampling_floor is None


def test_far_points_are_left_out_of_means_but_not_of_scores():
    mesh, truth = Points(np.array([[0.0], [1.0], [10.0]]) * X), Points(np.array([[0.5], [2.0]]) * X)
    result = compare(mesh, truth, (0.6,), max_distance=5.0)
    assert result.accuracy == pytest.approx(0.5)
    assert result.f_scores[0].precision == pytest.approx(2 / 3)
    assert compare(mesh, truth, max_distance=0.1).accuracy == float("inf")


def test_what_does_not_count_is_still_there_to_be_found():
    mesh, truth = Points(np.array([[0.0], [3.0]]) * X), Points(np.array([[0.0], [4.0]]) * X)
    result = compare(mesh, truth, counted_mesh=np.array([True, False]), counted_truth=np.array([False, True]))
    assert result.accuracy == 0.0
    assert result.completeness == pytest.approx(1.0)


def test_normal_error_by_hand():
    """Angles 90 and 0 from M, 90 from T's only point: the means are 45 and 90."""
    mesh = Points(np.array([[0.0], [1.0]]) * X, np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    truth = Points(np.array([[0.1]]) * X, np.array([[1.0, 0.0, 0.0]]))
    assert compare(mesh, truth).normal_error == pytest.approx(0.5 * (45.0 + 90.0))
    turned = truth._replace(normals=-truth.normals)
    assert compare(mesh, turned).normal_error == pytest.approx(0.5 * (135.0 + 90.0))


def ball(radius: float, seed: int) -> Points:
    return sample_scene(Scene((Placed("ball", Sphere(radius), Material((1.0, 1.0, 1.0))),)), 40_000, seed)


def test_two_spheres_are_as_far_apart_as_their_radii():
    result = compare(ball(0.5, 0), ball(0.53, 1), (0.02, 0.04))
    assert result.chamfer == pytest.approx(0.03, rel=0.02)
    assert [f.f_score for f in result.f_scores] == [0.0, 1.0]
    assert result.normal_error < 1.0


def test_the_sampling_floor_is_what_the_truth_has_against_itself():
    result = compare(ball(0.5, 0), ball(0.5, 1))
    assert result.chamfer == pytest.approx(result.sampling_floor, rel=0.03)


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="no points of the mesh"):
        compare(Points(np.zeros((0, 3))), Points(X))
    with pytest.raises(ValueError, match="no points of the truth"):
        compare(Points(X), Points(X), counted_truth=np.array([False]))
    with pytest.raises(ValueError, match="thresholds"):
        compare(Points(X), Points(X), (0.0,))


def test_parts_by_hand():
    """M = {0, 1}; the first part {0.1, 0.4} is 0.1 and 0.4 from it, the third {3} is 2, the second has no points."""
    mesh, truth = Points(np.array([[0.0], [1.0]]) * X), Points(np.array([[0.1], [3.0], [0.4]]) * X)
    near, far = found_parts(mesh, truth, ("near", "unseen", "far"), np.array([0, 2, 0]), (0.2, 1.0))
    assert (near.name, near.recalls, far.name, far.recalls) == ("near", (0.5, 1.0), "far", (0.0, 0.0))
    assert (near.share, near.completeness, far.completeness) == pytest.approx((2 / 3, 0.25, 2.0))
