import numpy as np
import pytest

from nerf_plugins.scenes import Box, Cone, Sphere, Torus

from .surfaces import SHAPES, SPACING, inside, surface

ids = [type(s).__name__ for s in SHAPES]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=ids)


def cloud(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (count, 3))


@every_shape
def test_distance_is_that_of_the_nearest_surface_point(shape):
    p, s = cloud(150), surface(shape)
    brute = np.sqrt(((p[:, None] - s) ** 2).sum(-1).min(axis=1))
    distance = np.abs(shape.sdf(p))
    assert (brute >= distance - 1e-9).all()
    assert (brute <= np.hypot(distance, SPACING) + 1e-3).all()  # 1e-3: between samples the surface is curved


@every_shape
def test_samples_lie_on_the_zero_set(shape):
    np.testing.assert_allclose(shape.sdf(surface(shape)), 0.0, atol=1e-12)


@every_shape
def test_sign_says_what_is_inside(shape):
    p = cloud(4000) * [0.7, 0.7, 0.8]
    is_inside = inside(shape, p)
    assert 100 < is_inside.sum() < 3900
    np.testing.assert_array_equal(shape.sdf(p) < 0.0, is_inside)


@every_shape
def test_normal_is_the_gradient_and_has_length_1(shape):
    p, h = cloud(500, seed=1), 1e-5
    steps = h * np.eye(3)
    gradient = np.stack([shape.sdf(p + e) - shape.sdf(p - e) for e in steps], axis=-1) / (2.0 * h)
    np.testing.assert_allclose(np.linalg.norm(gradient, axis=-1), 1.0, atol=1e-6)
    np.testing.assert_allclose(shape.normal(p), gradient, atol=1e-5)


@every_shape
def test_normals_at_hits_face_the_ray(shape):
    o, d = rays_from_outside()
    t = shape.intersect(o, d)
    hit = np.isfinite(t)
    n = shape.normal(o[hit] + t[hit, None] * d[hit])
    np.testing.assert_allclose(np.linalg.norm(n, axis=-1), 1.0, atol=1e-9)
    assert ((n * d[hit]).sum(-1) < 1e-3).all()


def rays_from_outside(count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Origins at a distance of 2, aimed at points near the shape; some along the axes."""
    rng = np.random.default_rng(2)
    o = rng.normal(size=(count, 3))
    o *= 2.0 / np.linalg.norm(o, axis=1, keepdims=True)
    d = rng.uniform(-0.6, 0.6, (count, 3)) - o
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    along = np.repeat(axes, 8, axis=0)
    offsets = rng.uniform(-0.5, 0.5, along.shape) * (along == 0.0)
    offsets[::8] = 0.0  # right through the middle
    return np.concatenate([o, offsets - 2.0 * along]), np.concatenate([d, along])


@every_shape
def test_hits_are_the_first_points_of_the_surface(shape):
    o, d = rays_from_outside()
    t = shape.intersect(o, d)
    hit = np.isfinite(t)
    assert 50 < hit.sum() < len(t)
    assert np.abs(shape.sdf(o[hit] + t[hit, None] * d[hit])).max() < 1e-7
    before = np.where(hit, t - 1e-6, 4.0)[:, None] * np.linspace(0.0, 1.0, 400)
    assert shape.sdf(o[:, None] + before[..., None] * d[:, None]).min() > 0.0


@every_shape
def test_rays_from_inside_hit_the_way_out(shape):
    p = cloud(4000, seed=3) * 0.6
    o = p[inside(shape, p)][:200]
    d = cloud(len(o), seed=4)
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    t = shape.intersect(o, d)
    assert np.isfinite(t).all()
    assert (t > 0.0).all()
    assert np.abs(shape.sdf(o + t[:, None] * d)).max() < 1e-7
    on_the_way = (t - 1e-6)[:, None] * np.linspace(0.0, 1.0, 200)
    assert shape.sdf(o[:, None] + on_the_way[..., None] * d[:, None]).max() < 0.0


@every_shape
def test_nothing_behind_the_origin_is_hit(shape):
    o, d = rays_from_outside()
    assert np.isinf(shape.intersect(o, -d)).all()


@every_shape
def test_support_is_the_largest_extent(shape):
    n = cloud(50, seed=5)
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    brute = (surface(shape) @ n.T).max(axis=0)
    assert (shape.support(n) >= brute - 1e-9).all()
    assert (shape.support(n) <= brute + SPACING).all()


@every_shape
def test_ball_of_bounds_contains_the_shape(shape):
    assert np.linalg.norm(surface(shape), axis=1).max() <= shape.radius_of_bounds + 1e-12


@pytest.mark.parametrize(
    ("shape", "point", "distance"),
    [
        (Sphere(0.5), (0.0, 3.0, 4.0), 4.5),
        (Box((1.0, 2.0, 3.0)), (4.0, 6.0, 0.0), 5.0),  # 3-4-5 from the edge
        (Box((1.0, 2.0, 3.0)), (0.5, 0.0, 0.0), -0.5),
        (Torus(2.0, 0.5), (0.0, 5.0, 4.0), 4.5),
        (Cone(3.0, 4.0), (0.0, 0.0, 1.0), -1.0),  # to the base; the flank is 1.8 away
        (Cone(3.0, 4.0), (3.0, 0.0, 4.0), 2.4),  # 3 times the sine of the flank's angle, 4/5
    ],
)
def test_distances_by_hand(shape, point, distance):
    np.testing.assert_allclose(shape.sdf(np.array([point])), [distance])


def test_a_ray_that_grazes_a_torus():
    """Along x over the top of the tube, whose highest points are at z = minor."""
    torus, d = Torus(0.5, 0.1), np.array([[1.0, 0.0, 0.0]])
    assert np.isinf(torus.intersect(np.array([[-2.0, 0.0, 0.1 + 1e-7]]), d))
    t = torus.intersect(np.array([[-2.0, 0.0, 0.1 - 1e-7]]), d)[0]
    assert t == pytest.approx(1.5 - np.sqrt(0.1**2 - (0.1 - 1e-7) ** 2), abs=1e-6)


def test_a_ray_through_the_hole_of_a_torus_misses():
    o, d = np.array([[0.05, 0.02, 2.0]]), np.array([[0.0, 0.0, -1.0]])
    assert np.isinf(Torus(0.5, 0.1).intersect(o, d))
