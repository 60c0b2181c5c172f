import numpy as np
import pytest
from trimesh import Trimesh

from nerf_plugins.errors import InputError
from nerf_plugins.export import parts
from nerf_plugins.export.mesh import extract_mesh
from tests.export.surfaces import sphere, two_spheres


def test_the_parts_and_their_areas():
    found = parts.connected_parts(extract_mesh(two_spheres(), 40))
    np.testing.assert_allclose(sorted(found.areas), [4 * np.pi * 0.09, 4 * np.pi * 0.16], rtol=0.02)
    assert np.bincount(found.of_face).min() > 100


def test_the_largest_component_is_kept():
    kept = parts.largest_component(extract_mesh(two_spheres(), 40))
    assert kept.is_watertight
    assert kept.volume == pytest.approx(4.0 / 3.0 * np.pi * 0.4**3, rel=0.03)
    assert len(kept.vertices) == len(np.unique(kept.faces))


def test_vertices_without_a_face_left_are_dropped():
    m = extract_mesh(sphere(), 16)
    half = parts.keep_vertices(m, m.vertices[:, 2] > 0.0)
    assert half.vertices[:, 2].min() > 0.0
    assert half.area == pytest.approx(2.0 * np.pi * 0.49, rel=0.25)
    with pytest.raises(InputError, match="leaves nothing"):
        parts.keep_vertices(m, m.vertices[:, 2] > 5.0)


def cut(mesh: Trimesh, *holes: int) -> Trimesh:
    """Without the faces around some vertices."""
    return parts.keep_faces(mesh, ~np.isin(mesh.faces, holes).any(axis=1))


def test_holes_are_closed_facing_outwards_if_they_are_small_enough():
    from trimesh.creation import icosphere

    ball = icosphere(2)
    twelve = np.flatnonzero(np.bincount(ball.faces.ravel()) == 5)  # the icosahedron's corners; all others have 6 faces
    six = np.flatnonzero(np.bincount(ball.faces.ravel()) == 6)[-1]
    holed = cut(ball, twelve[0], six)
    assert not holed.is_watertight
    closed = parts.close_holes(holed, 6)
    assert closed[1:] == (2, 0)
    assert closed.mesh.is_watertight
    assert closed.mesh.is_winding_consistent
    assert closed.mesh.volume == pytest.approx(ball.volume, rel=0.02)
    assert parts.close_holes(holed, 5)[1:] == (1, 1)
    assert parts.close_holes(ball, 100)[1:] == (0, 0)


def test_two_holes_that_share_a_vertex():
    """A border that meets itself is walked to its end: all of it is closed."""
    n = 6
    x, y = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    at = lambda i, j: i * n + j  # noqa: E731
    faces = [f for i in range(n - 1) for j in range(n - 1) if (i, j) not in ((1, 1), (2, 2))
             for f in ((at(i, j), at(i + 1, j), at(i, j + 1)), (at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)))]  # fmt: skip
    sheet = Trimesh(np.stack([x, y, 0 * x], -1).reshape(-1, 3).astype(float), faces, process=False)
    closed = parts.close_holes(sheet, 10)
    assert closed.n_left == 1  # the sheet's own border
    assert closed.mesh.area == pytest.approx(25.0)
    assert (closed.mesh.face_normals[:, 2] > 0.99).all()


def test_rings_of_neighbours():
    """In a strip of quads, of two faces each, the faces that share a corner are in the next quads."""
    n = 9
    below, above = np.arange(n), n + np.arange(n)
    quads = np.stack([below[:-1], below[1:], above[1:], above[:-1]], axis=1)
    faces = quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
    chosen = np.repeat(np.arange(n - 1) == 4, 2)
    for rings, low, high in ((0, 4, 4), (1, 3, 5), (2, 2, 6), (9, 0, 7)):
        quad = np.flatnonzero(parts.with_neighbours(faces, chosen, rings)) // 2
        assert np.unique(quad).tolist() == list(range(low, high + 1))
    assert parts.with_neighbours(faces, chosen, 0).sum() == 2
    assert not parts.with_neighbours(faces, np.zeros(len(faces), bool), 3).any()
