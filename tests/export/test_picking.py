import numpy as np
import pytest
import torch
from trimesh import Trimesh

from nerf_plugins.errors import InputError
from nerf_plugins.export.mesh import extract_mesh
from nerf_plugins.export.picking import above_table, find_table, in_ball
from tests.export.surfaces import surface

UP = np.array([0.0, 0.0, 1.0])


def ball_on_a_table(tilt: float = 0.0) -> Trimesh:
    """A ball of radius 0.3 stands at the origin on a slab whose top leans, with another one beside it."""
    normal = torch.tensor([np.sin(tilt), 0.0, np.cos(tilt)], dtype=torch.float32)

    def value(p):
        ball = (p - 0.28 * normal).norm(dim=1) - 0.3
        other = (p - torch.tensor([0.0, 0.75, 0.1])).norm(dim=1) - 0.12
        return torch.stack([ball, other, p @ normal]).amin(dim=0)

    return extract_mesh(surface(value), 64)


def test_only_what_is_in_the_ball():
    kept = in_ball(ball_on_a_table(), np.array([0.0, 0.0, 0.3]), 0.5)
    assert np.linalg.norm(kept.vertices - [0.0, 0.0, 0.3], axis=1).max() <= 0.5
    with pytest.raises(
        InputError, match=r"point \(5, 0, 0\), radius 0.1: nothing of the surface .* nearest of it is at \(1, "
    ):
        in_ball(ball_on_a_table(), np.array([5.0, 0.0, 0.0]), 0.1)


@pytest.mark.parametrize("tilt", [0.0, 0.5])
def test_the_table_goes_and_the_ball_stays(tilt):
    """Also where the table leans by 29 degrees, and with another thing on it in reach."""
    point, radius = np.array([0.0, 0.0, 0.4]), 0.85
    mesh = in_ball(ball_on_a_table(tilt), point, radius)
    plane = find_table(mesh, radius, UP)
    assert plane is not None
    assert plane.normal @ [np.sin(tilt), 0.0, np.cos(tilt)] > 0.9995
    assert abs(plane.height) < 0.005
    kept = above_table(mesh, plane, point, radius)
    centre = 0.28 * np.array([np.sin(tilt), 0.0, np.cos(tilt)])
    np.testing.assert_allclose(np.linalg.norm(kept.vertices - centre, axis=1), 0.3, atol=0.02)
    assert kept.area > 0.9 * 4 * np.pi * 0.09


def test_what_has_no_plane_has_no_table():
    ball = extract_mesh(surface(lambda p: p.norm(dim=1) - 0.5), 40)
    assert find_table(ball, 0.6, UP) is None
    assert find_table(ball_on_a_table(), 0.8, -UP) is None  # it faces up
