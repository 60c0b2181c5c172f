import numpy as np
import pytest
import torch
from trimesh import Trimesh

from nerf_plugins.export.mesh import extract_mesh
from nerf_plugins.export.world import cameras_up, move_to_world, turn_up
from tests.export.surfaces import sphere


@pytest.mark.parametrize("mirrored", [False, True])
def test_back_to_the_world(mirrored):
    """scene = s (T_R world + T_t); a mirroring transform must not turn the mesh inside out."""
    angle = 0.4
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    if mirrored:
        rotation[:, 0] *= -1.0
    shift, scale = np.array([1.0, 2.0, -3.0]), 0.01
    m = extract_mesh(sphere(0.5, (0.2, 0.0, 0.1)), 32)
    move_to_world(m, torch.from_numpy(np.concatenate([rotation, shift[:, None]], axis=1)), scale)
    centre = np.linalg.inv(rotation) @ (np.array([0.2, 0.0, 0.1]) / scale - shift)
    r = np.linalg.norm(m.vertices - centre, axis=1)
    np.testing.assert_allclose(r, 50.0, atol=0.01)
    assert m.volume == pytest.approx(4.0 / 3.0 * np.pi * 50.0**3, rel=0.02)


AXES = np.concatenate([np.eye(3), -np.eye(3)])


@pytest.mark.parametrize("axis", ["z", "y"])
@pytest.mark.parametrize("source", range(6))
def test_the_axis_next_to_up_becomes_the_one_asked_for(axis, source):
    """By a rotation, so that nothing is mirrored; other axes go to axes."""
    tetrahedron = Trimesh([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    marked = Trimesh(AXES[source : source + 1] * 5.0, np.zeros((0, 3), int), process=False)
    up = AXES[source] * 0.9 + [0.1, 0.2, 0.3]
    up /= np.linalg.norm(up)
    line = turn_up(marked, up, axis)
    np.testing.assert_allclose(marked.vertices[0], 5.0 * np.eye(3)["xyz".index(axis)], atol=1e-12)
    assert f"the data's {'+' if source < 3 else '-'}{'xyz'[source % 3]} is now +{axis}" in line
    turn_up(tetrahedron, up, axis)
    assert tetrahedron.volume == pytest.approx(1.0)
    assert sorted(np.ptp(tetrahedron.vertices, axis=0)) == pytest.approx([1.0, 2.0, 3.0])


def test_data_that_is_upright_is_not_turned():
    mesh = extract_mesh(sphere(0.5, (0.1, 0.2, 0.3)), 8)
    before = mesh.vertices.copy()
    turn_up(mesh, np.array([0.1, 0.0, 0.995]), "z")
    np.testing.assert_allclose(mesh.vertices, before, atol=1e-12)
    assert turn_up(mesh, np.array([1.0, 0.0, 0.0]), "data") == "axes as the input data has them"


def test_up_is_the_cameras_mean_in_the_world():
    """Two cameras that roll to either side; the scene is the world with x and z exchanged, turned."""
    poses = torch.zeros(2, 3, 4)
    poses[0, :, 1], poses[1, :, 1] = torch.tensor([0.6, 0.0, 0.8]), torch.tensor([-0.6, 0.0, 0.8])
    transform = torch.tensor([[0.0, 0.0, 1.0, 4.0], [0.0, 1.0, 0.0, 5.0], [-1.0, 0.0, 0.0, 6.0]])
    np.testing.assert_allclose(cameras_up(poses, transform), [-1.0, 0.0, 0.0], atol=1e-12)
