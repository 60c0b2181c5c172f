from pathlib import Path

import numpy as np
import pytest
import trimesh

from nerf_plugins.errors import InputError
from nerf_plugins.geometry.sampling import Points, read_mesh, read_points, sample_mesh, sample_scene
from nerf_plugins.scenes import Box, Capsule, Cone, Cylinder, Material, Placed, Scene, Sphere, Torus, demo_scene

GREY = Material((0.5, 0.5, 0.5))
COUNT = 20_000

AREAS = [
    (Sphere(0.5), 4.0 * np.pi * 0.25),
    (Box((0.3, 0.5, 0.2)), 8.0 * (0.15 + 0.10 + 0.06)),
    (Cylinder(0.4, 0.25), 2.0 * np.pi * 0.16 + 2.0 * np.pi * 0.4 * 0.5),
    (Capsule(0.3, 0.2), 4.0 * np.pi * 0.04 + 2.0 * np.pi * 0.2 * 0.6),
    (Cone(0.4, 0.6), np.pi * 0.16 + np.pi * 0.4 * np.hypot(0.4, 0.6)),
    (Torus(0.5, 0.15), 4.0 * np.pi**2 * 0.5 * 0.15),
]


@pytest.mark.parametrize(("shape", "area"), AREAS, ids=[type(shape).__name__ for shape, _ in AREAS])
def test_points_of_a_shape_are_on_it_and_tell_its_area(shape, area):
    scene = Scene((Placed("it", shape, GREY, (0.3, -0.1, 0.2)),))
    points = sample_scene(scene, COUNT)
    assert len(points.positions) == COUNT
    assert np.abs(scene.sdf(points.positions)).max() < 1e-8
    assert points.area == pytest.approx(area, rel=0.02)
    step = 1e-4
    np.testing.assert_allclose(scene.sdf(points.positions + step * points.normals), step, rtol=0.02)


def test_points_are_even_by_area():
    """On a cylinder: lid, side and bottom get their shares, and a lid's inner half-radius a quarter of it."""
    p = sample_scene(Scene((Placed("it", Cylinder(0.4, 0.25), GREY),)), 4 * COUNT).positions
    side, total = 2.0 * np.pi * 0.4 * 0.5, 2.0 * np.pi * 0.16 + 2.0 * np.pi * 0.4 * 0.5
    lid = p[:, 2] > 0.25 - 1e-9
    assert (np.abs(p[:, 2]) < 0.25 - 1e-9).mean() == pytest.approx(side / total, abs=0.008)
    assert lid.mean() == pytest.approx(np.pi * 0.16 / total, abs=0.008)
    assert (np.hypot(p[lid, 0], p[lid, 1]) < 0.2).mean() == pytest.approx(0.25, abs=0.015)


def test_what_objects_hide_in_each_other_is_left_out():
    """Two balls of radius 1 whose centres are 1 apart: each loses a cap of height 1/2, 2 π r h; a third ball is inside."""
    balls = [Placed(str(x), Sphere(r), GREY, (x, 0.0, 0.0)) for x, r in ((0.0, 1.0), (1.0, 1.0), (0.5, 0.2))]
    scene = Scene(tuple(balls))
    points = sample_scene(scene, COUNT)
    assert points.area == pytest.approx(2.0 * (4.0 * np.pi - np.pi), rel=0.02)
    assert np.abs(scene.sdf(points.positions)).max() < 1e-8
    assert (np.linalg.norm(points.positions - [0.5, 0.0, 0.0], axis=1) > 0.8).all()


def test_where_objects_touch_there_is_no_surface():
    """A box on a box: neither the lower one's lid below the upper one nor that one's bottom."""
    lower = Placed("lower", Box((0.5, 0.5, 0.1)), GREY)
    upper = Placed("upper", Box((0.2, 0.2, 0.2)), GREY, (0.0, 0.0, 0.3))
    points = sample_scene(Scene((lower, upper)), COUNT)
    between = (np.abs(points.positions[:, 2] - 0.1) < 1e-6) & (np.abs(points.positions[:, :2]) < 0.2 - 1e-6).all(axis=1)
    assert not between.any()
    assert points.area == pytest.approx(2.0 * 1.0 + 4.0 * 0.2 + 4.0 * 0.4 * 0.4, rel=0.02)


def test_the_demo_scene():
    points = sample_scene(demo_scene(), COUNT)
    assert np.abs(demo_scene().sdf(points.positions)).max() < 1e-8
    assert np.linalg.norm(points.normals, axis=1) == pytest.approx(1.0)
    again = sample_scene(demo_scene(), COUNT)
    np.testing.assert_array_equal(points.positions, again.positions)
    assert not np.array_equal(points.positions, sample_scene(demo_scene(), COUNT, seed=1).positions)


def test_points_of_a_mesh_by_hand():
    """Two triangles, of area 1/2 at z = 0 and 3/2 at x = 5: a quarter of the points is on the first."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [5, 3, 0], [5, 0, 1]], dtype=float)
    points = sample_mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]]), COUNT)
    first = points.positions[:, 0] < 2.0
    assert first.mean() == pytest.approx(0.25, abs=1e-3)
    assert points.area == pytest.approx(2.0)
    x, y, z = points.positions[first].T
    assert (z == 0.0).all()
    assert (x >= 0.0).all()
    assert (y >= 0.0).all()
    assert (x + y <= 1.0 + 1e-12).all()
    assert (x.mean(), y.mean()) == pytest.approx((1 / 3, 1 / 3), abs=0.01)
    np.testing.assert_array_equal(points.normals[first], [[0.0, 0.0, 1.0]] * first.sum())
    np.testing.assert_allclose(points.normals[~first], [[1.0, 0.0, 0.0]] * (~first).sum())


def test_a_mesh_without_area():
    with pytest.raises(ValueError, match="no area"):
        sample_mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]), 5)


def test_a_selection_keeps_its_share_of_the_area():
    points = Points(np.eye(3), np.eye(3), 6.0).select(np.array([True, False, True]))
    assert points.area == pytest.approx(4.0)
    np.testing.assert_array_equal(points.normals, np.eye(3)[[0, 2]])


@pytest.mark.parametrize("ending", ["ply", "obj", "glb"])
def test_meshes_from_files(tmp_path: Path, ending):
    box = trimesh.creation.box((1.0, 2.0, 3.0))
    box.export(tmp_path / f"a.{ending}")
    points = read_points(tmp_path / f"a.{ending}", 500)
    assert points.area == pytest.approx(22.0, rel=1e-6)
    assert len(points.positions) == 500
    vertices, faces = read_mesh(tmp_path / f"a.{ending}")
    assert faces.shape == (12, 3)
    np.testing.assert_allclose(np.abs(vertices).max(axis=0), [0.5, 1.0, 1.5])


def test_a_cloud_from_a_file(tmp_path: Path):
    cloud = np.random.default_rng(0).random((50, 3))
    trimesh.PointCloud(cloud).export(tmp_path / "cloud.ply")
    points = read_points(tmp_path / "cloud.ply", 7)
    np.testing.assert_allclose(points.positions, cloud, atol=1e-6)
    assert points.normals is points.area is None
    with pytest.raises(InputError, match=r"cloud\.ply: has no faces"):
        read_mesh(tmp_path / "cloud.ply")


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.ply: there is no such file"):
        read_points(tmp_path / "none.ply", 5)
    (tmp_path / "bad.ply").write_text("no header")
    with pytest.raises(InputError, match=r"bad\.ply: cannot be read"):
        read_points(tmp_path / "bad.ply", 5)
