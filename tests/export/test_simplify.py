import numpy as np
import pytest

from nerf_plugins.errors import InputError
from nerf_plugins.export.mesh import extract_mesh
from nerf_plugins.export.simplify import deviation, simplify
from tests.export.surfaces import sphere


def test_a_sphere_of_fewer_triangles():
    fine = extract_mesh(sphere(), 40)
    coarse = simplify(fine, 1000)
    assert 900 <= len(coarse.faces) <= 1000
    assert coarse.is_watertight
    assert len(np.unique(coarse.faces)) == len(coarse.vertices)
    assert coarse.volume == pytest.approx(fine.volume, rel=0.01)


def test_a_mesh_that_has_no_more_is_as_it_was():
    mesh = extract_mesh(sphere(), 10)
    assert simplify(mesh, len(mesh.faces)) is mesh


def test_nothing_left():
    from trimesh import Trimesh

    flat = Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], [[0, 1, 2], [1, 3, 2]], process=False)
    with pytest.raises(InputError, match="faces 0: nothing of the mesh is left"):
        simplify(flat, 0)


def test_the_deviation_is_the_distance_from_the_surface():
    mesh = extract_mesh(sphere(0.70), 40)
    away = deviation(mesh, sphere(0.71))
    assert away.mean == pytest.approx(0.01, rel=0.1)  # chords lie a little further in
    assert away.mean < away.most < 0.013
    assert away.missed == 0.0


def test_what_has_no_surface_near_is_counted():
    mesh = extract_mesh(sphere(0.7), 20)
    assert deviation(mesh, sphere(0.4)).missed == 1.0
    half = deviation(mesh, sphere(0.7, (0.0, 0.0, 0.7)))
    assert 0.5 < half.missed < 1.0
