import subprocess
import sys

import numpy as np
import pytest

from nerf_plugins.scenes import Box, Light, Material, Placed, Scene, Sphere, demo_scene
from nerf_plugins.scenes.materials import checker, globe_checker, rings, sectors, spiral, stripes
from nerf_plugins.scenes.placing import rod, turned

GREY = Material((0.5, 0.5, 0.5))


def two_balls(**light) -> Scene:
    left = Placed("left", Sphere(0.3), Material((1.0, 0.0, 0.0)), (-0.5, 0.0, 0.0))
    right = Placed("right", Sphere(0.2), Material((0.0, 0.0, 1.0)), (0.5, 0.0, 0.0))
    return Scene((left, right), Light(**light))


def test_union_by_hand():
    p = np.array([[-0.5, 0.0, 1.0], [0.5, 0.0, 0.1], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(two_balls().sdf(p), [0.7, -0.1, 0.2])
    np.testing.assert_array_equal(two_balls().nearest(p), [0, 1, 0])


def test_first_object_on_the_way_is_hit():
    o = np.array([[-2.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    d = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    hits = two_balls().intersect(o, d)
    np.testing.assert_allclose(hits.t, [1.2, 1.3, np.inf])
    np.testing.assert_array_equal(hits.index, [0, 1, -1])


def test_rays_that_start_within_or_close_to_an_object():
    o = np.array([[-0.5, 0.0, 0.0], [-0.79, 0.0, 0.0], [-0.81, 0.0, 0.0]])
    left = np.tile([-1.0, 0.0, 0.0], (3, 1))
    np.testing.assert_allclose(two_balls().intersect(o, left).t, [0.3, 0.01, np.inf], rtol=1e-6)


def test_bounds_by_hand():
    np.testing.assert_allclose(two_balls().bounds, [[-0.8, -0.3, -0.3], [0.7, 0.3, 0.3]])
    crate = Placed("crate", Box((0.4, 0.2, 0.1)), GREY, (0.0, 0.0, 1.0), turned(45.0))
    reach = 0.6 / np.sqrt(2.0)
    np.testing.assert_allclose(crate.bounds, [[-reach, -reach, 0.9], [reach, reach, 1.1]])


def test_a_turned_box():
    """Its corner at (0.4, 0.2) goes to (-0.2, 0.4) with a quarter turn."""
    crate = Placed("crate", Box((0.4, 0.2, 0.1)), GREY, rotation=turned(90.0))
    np.testing.assert_allclose(crate.sdf(np.array([[-0.2, 1.4, 0.0], [1.2, 0.0, 0.0]])), [1.0, 1.0])
    np.testing.assert_allclose(crate.normal(np.array([[-0.1, 1.4, 0.0]])), [[0.0, 1.0, 0.0]], atol=1e-12)
    t = crate.intersect(np.array([[0.0, 3.0, 0.0]]), np.array([[0.0, -1.0, 0.0]]))
    np.testing.assert_allclose(t, [2.6])


def test_a_rod_runs_from_end_to_end():
    a, b = (0.1, 0.2, 0.3), (-0.4, 0.9, 0.5)
    thin = rod("thin", a, b, 0.01, GREY)
    s = np.linspace(0.0, 1.0, 7)[:, None]
    np.testing.assert_allclose(thin.sdf((1.0 - s) * np.array(a) + s * np.array(b)), -0.01, atol=1e-12)
    beyond = np.array(b) + 0.1 * np.subtract(b, a) / np.linalg.norm(np.subtract(b, a))
    np.testing.assert_allclose(thin.sdf(beyond[None]), 0.09)


def test_colour_in_the_sun_by_hand():
    """The top of a ball under a sun in the zenith: albedo (sky + sun), to the power 1 / 2.2."""
    scene = Scene(
        (Placed("ball", Sphere(0.5), Material((0.5, 0.25, 0.1))),), Light((0.0, 0.0, 3.0), 0.8, (0.1, 0.2, 0.3))
    )
    top, up = np.array([[0.0, 0.0, 0.5]]), np.array([[0.0, 0.0, 1.0]])
    expected = (np.array([0.5, 0.25, 0.1]) * [0.9, 1.0, 1.1]) ** (1.0 / 2.2)
    np.testing.assert_allclose(scene.radiance(top, up, -up), [expected])


def test_colour_in_the_shadow_is_ambient_only():
    """A ball over the ball takes its sun away, not its sky as long as it is higher than `contact`."""
    ball = Placed("ball", Sphere(0.5), Material((0.5, 0.5, 0.5)))
    shade = Placed("shade", Sphere(0.1), GREY, (0.0, 0.0, 1.0))
    scene = Scene((ball, shade), Light((0.0, 0.0, 1.0), 0.8, (0.2, 0.2, 0.2)))
    top, up = np.array([[0.0, 0.0, 0.5]]), np.array([[0.0, 0.0, 1.0]])
    np.testing.assert_allclose(scene.radiance(top, up, -up), 0.1 ** (1.0 / 2.2))


def test_contact_takes_ambient_light_away():
    ball = Placed("ball", Sphere(0.5), Material((0.5, 0.5, 0.5)))
    lid = Placed("lid", Sphere(0.1), GREY, (0.0, 0.0, 0.66))  # 0.06 over the ball: half of contact
    scene = Scene((ball, lid), Light((0.0, 0.0, 1.0), 0.8, (0.2, 0.2, 0.2), contact=0.04))
    top, up = np.array([[0.0, 0.0, 0.5]]), np.array([[0.0, 0.0, 1.0]])
    np.testing.assert_allclose(scene.radiance(top, up, -up), (0.5 * 0.2 * 0.5) ** (1.0 / 2.2))  # 0.04 up: 0.02 free


def test_highlight_depends_on_the_view_and_matt_does_not():
    top, up = np.array([[0.0, 0.0, 0.5]]), np.array([[0.0, 0.0, 1.0]])
    aside = np.array([[0.6, 0.0, -0.8]])
    for specular in (0.0, 0.5):
        material = Material((0.2, 0.2, 0.2), specular=specular, shininess=10.0)
        scene = Scene((Placed("ball", Sphere(0.5), material),), Light((0.0, 0.0, 1.0), 0.5))
        change = scene.radiance(top, up, -up) - scene.radiance(top, up, aside)
        assert (change > 0.05).all() if specular else (change == 0.0).all()


def test_patterns_by_hand():
    z = np.array([[0.0, 0.0, v] for v in (0.01, 0.09, 0.11, 0.19, -0.01)])
    np.testing.assert_array_equal(stripes(2, 0.1, share=0.5)(z), [0, 1, 0, 1, 1])
    cells = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.1, 0.1, 0.0], [-0.1, 0.1, 0.1]])
    np.testing.assert_array_equal(checker(0.2)(cells), [0, 1, 0, 1])
    np.testing.assert_array_equal(rings(0.2)(np.array([[0.05, 0.0, 1.0], [0.0, 0.15, 0.0]])), [0, 1])
    angles = np.radians([10.0, 60.0, 100.0, 170.0])
    around = np.stack([np.cos(angles), np.sin(angles), 0.0 * angles], axis=1)
    np.testing.assert_array_equal(sectors(4)(around), [0, 1, 0, 1])
    up = np.array([0.0, 0.0, 0.1])
    np.testing.assert_array_equal(spiral(4, 0.2)(around + up), [1, 0, 1, 0])
    np.testing.assert_array_equal(globe_checker(4, 1)(around + up), [0, 1, 0, 1])
    np.testing.assert_array_equal(globe_checker(4, 1)(around - up), [1, 0, 1, 0])


def test_demo_scene_fits_the_box_and_has_thin_parts():
    scene = demo_scene()
    assert (scene.bounds[0] > -0.96).all()
    assert (scene.bounds[1] < 0.96).all()
    rods = [x for x in scene.objects if x.name.startswith("leg")]
    assert len(rods) == 3
    names = [x.name for x in scene.objects]
    assert len(set(names)) == len(names)


def test_demo_bounds_are_tight():
    """Scan lines over a fine grid of the box's faces touch the surface within the grid's spacing."""
    scene, step = demo_scene(), 0.01
    low, high = scene.bounds
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        u, v = (x.ravel() for x in np.meshgrid(np.arange(low[i], high[i], step), np.arange(low[j], high[j], step)))
        for side, sign in ((low, 1.0), (high, -1.0)):
            o, d = np.zeros((len(u), 3)), np.zeros((len(u), 3))
            o[:, i], o[:, j], o[:, k], d[:, k] = u, v, side[k] - sign, sign
            assert scene.intersect(o, d).t.min() == pytest.approx(1.0, abs=0.01)
            assert scene.intersect(o, d).t.min() > 1.0 - 1e-9


def test_demo_hits_lie_on_the_surface_and_normals_are_the_gradient():
    scene, rng = demo_scene(), np.random.default_rng(0)
    o = rng.normal(size=(3000, 3))
    o *= 3.0 / np.linalg.norm(o, axis=1, keepdims=True)
    d = rng.uniform(-0.8, 0.8, o.shape) - o
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    hits = scene.intersect(o, d)
    hit = np.isfinite(hits.t)
    assert len(np.unique(hits.index)) == len(scene.objects) + 1  # every object, and a miss
    p = o[hit] + hits.t[hit, None] * d[hit]
    assert np.abs(scene.sdf(p)).max() < 1e-7
    n = scene.normals(p, hits.index[hit])
    np.testing.assert_allclose(scene.sdf(p + 1e-4 * n), 1e-4, atol=2e-6)
    misses = np.linspace(0.0, 6.0, 200)[:, None, None] * d[~hit] + o[~hit]
    assert scene.sdf(misses).min() > 0.0


def test_needs_no_torch():
    code = "import sys, nerf_plugins.scenes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
