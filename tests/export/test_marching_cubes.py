import numpy as np
import pytest
import torch
from trimesh import Trimesh

from nerf_plugins.errors import InputError
from nerf_plugins.export.marching_cubes import marching_cubes
from tests.export.surfaces import edge_counts, noise, sorted_faces, sphere, surface, torus, two_spheres


def mesh(*args, **options) -> Trimesh:
    return Trimesh(*marching_cubes(*args, **options), process=False)


def test_a_spheres_vertices_are_on_it_and_its_volume_converges_quadratically():
    """A vertex is where the function crosses: nearly exact. The triangles are chords: their volume is short by O(h²)."""
    true, missing = 4.0 / 3.0 * np.pi * 0.7**3, []
    for resolution in (16, 32, 64):
        m = mesh(sphere(), resolution)
        assert np.abs(np.linalg.norm(m.vertices, axis=1) - 0.7).max() < 5e-4 * (16 / resolution) ** 2
        assert m.is_watertight
        assert m.euler_number == 2
        missing.append(true - m.volume)
    assert missing[0] > missing[1] > missing[2] > 0.0
    assert missing[0] / missing[1] == pytest.approx(4.0, rel=0.15)
    assert missing[1] / missing[2] == pytest.approx(4.0, rel=0.15)


def test_a_torus_has_a_hole():
    m = mesh(torus(), 48, block=20)
    assert m.is_watertight
    assert m.euler_number == 0
    assert m.volume == pytest.approx(2.0 * np.pi**2 * 0.6 * 0.2**2, rel=0.02)


def test_normals_point_to_where_the_function_is_larger():
    m = mesh(sphere(), 24)
    assert m.volume > 0.0
    outward = m.vertices / np.linalg.norm(m.vertices, axis=1, keepdims=True)
    assert (m.vertex_normals * outward).sum(axis=1).min() > 0.97


@pytest.mark.parametrize("block", [1, 7, 8, 23, 24])
def test_blocks_join_to_what_one_block_gives(block):
    """Noise has all cases; only a vertex inside a cell, of which one block knows, is rounded otherwise."""
    one, many = marching_cubes(noise(24), 23), marching_cubes(noise(24), 23, block=block)
    np.testing.assert_allclose(many.vertices, one.vertices, atol=1e-6)
    np.testing.assert_array_equal(sorted_faces(many.faces), sorted_faces(one.faces))


def test_vertices_are_welded():
    vertices = marching_cubes(sphere(), 32, block=8).vertices
    assert len(np.unique(vertices.round(9), axis=0)) == len(vertices)


def test_noise_is_closed_but_for_the_box():
    vertices, faces = marching_cubes(noise(24), 23, block=9)
    edges, counts = edge_counts(faces)
    assert counts.max() == 2
    on_a_face = (np.abs(np.abs(vertices[edges]) - 1.0) < 1e-9).all(axis=1).any(axis=1)
    assert on_a_face[counts == 1].all()
    assert (counts == 1).any()


def test_where_the_surface_leaves_the_box_it_is_open():
    m = mesh(sphere(0.5, (1.0, 0.0, 0.0)), 32)
    assert not m.is_watertight
    assert m.area == pytest.approx(2.0 * np.pi * 0.25, rel=0.01)
    assert m.vertices[:, 0].max() == pytest.approx(1.0)


def test_a_step_is_found_within_the_cell():
    """A density that jumps from 0 to 1000: interpolated, it would lie 1 % behind one end of every edge."""
    steep = surface(lambda p: -1000.0 * (p.norm(dim=1) < 0.7).float(), level=-10.0)
    r = np.linalg.norm(marching_cubes(steep, 32).vertices, axis=1)
    assert np.abs(r - 0.7).max() < 2.0 / 32 / 32


def test_another_level():
    r = np.linalg.norm(marching_cubes(sphere(level=0.1), 24).vertices, axis=1)
    np.testing.assert_allclose(r, 0.8, atol=1e-4)


def test_a_box_with_uneven_sides_is_covered_to_its_ends():
    """20 cells on the longest side, 2; the others 0.5 and 1.01 get the nearest whole numbers, 5 and 10."""
    box = ((0.0, -2.0, 5.0), (0.5, -0.99, 7.0))
    asked = []
    value = lambda p: (asked.append(p), p[:, 2] - 6.03)[1]  # noqa: E731
    vertices, _ = marching_cubes(surface(value, box=box), 20)
    grid = asked[0].unique(dim=0)
    assert len(grid) == 6 * 11 * 21
    np.testing.assert_allclose([grid.amin(0).tolist(), grid.amax(0).tolist()], box, atol=1e-6)
    np.testing.assert_allclose(vertices[:, 2], 6.03, atol=1e-5)
    np.testing.assert_allclose([vertices[:, :2].min(0), vertices[:, :2].max(0)], [[0.0, -2.0], [0.5, -0.99]], atol=1e-6)


def test_a_value_at_the_level_on_the_grid():
    """The plane x = 0 goes through points of the grid: one sheet, without slivers."""
    vertices, faces = marching_cubes(surface(lambda p: p[:, 0]), 8, block=4)
    np.testing.assert_allclose(vertices[:, 0], 0.0, atol=1e-6)
    assert Trimesh(vertices, faces, process=False).area == pytest.approx(4.0, rel=1e-5)
    assert edge_counts(faces)[1].max() == 2


def test_no_more_than_some_positions_are_asked_at_once():
    counts = []
    value = lambda p: (counts.append(len(p)), p.norm(dim=1) - 0.7)[1]  # noqa: E731
    marching_cubes(surface(value), 140, block=140)
    assert max(counts) <= 1 << 18


def test_the_blocks_are_tracked():
    seen = []
    marching_cubes(sphere(), 16, block=8, track=lambda blocks: (seen.append(b) or b for b in blocks))
    assert len(seen) == 8


def test_a_level_that_is_never_crossed_names_the_range():
    with pytest.raises(InputError, match=r"level 3 is never crossed: .* from -0\.7 to 1\.03") as error:
        marching_cubes(sphere(level=3.0), 16)
    assert "\n" not in str(error.value)


def test_values_that_are_not_finite():
    nan = surface(lambda p: torch.where(p[:, 0] > 0.9, torch.nan, p[:, 0]))
    with pytest.raises(InputError, match=r"289 values that are not finite"):
        marching_cubes(nan, 16)


@pytest.mark.parametrize("name", ["resolution", "block"])
def test_bad_arguments(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        marching_cubes(sphere(), **{"resolution": 4, name: 0})


def test_two_pieces():
    assert len(mesh(two_spheres(), 32).split()) == 2
