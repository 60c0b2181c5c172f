from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nerf_plugins.scenes import Camera, Light, Material, Placed, Scene, Sphere, demo_scene, depth, normals, render
from nerf_plugins.scenes.cameras import dome, held_out_places, look_at, pick_evenly

FRONT = np.concatenate([np.eye(3), [[0.0], [0.0], [3.0]]], axis=1)
"""A camera at (0, 0, 3) that looks at the origin, y up."""


def ball(position=(0.0, 0.0, 0.0), radius=0.5, **light) -> Scene:
    return Scene((Placed("ball", Sphere(radius), Material((0.5, 0.5, 0.5)), position),), Light(**light))


def test_depth_by_hand():
    """Centre pixel of 5: 3 - 0.5. One pixel to the right: d = (0.1, 0, -1) / sqrt(1.01)."""
    image = depth(ball(), Camera.centred(FRONT, 10.0, 5, 5))
    assert image.shape == (5, 5)
    assert image[2, 2] == pytest.approx(2.5)
    b = 3.0 / np.sqrt(1.01)
    assert image[2, 3] == pytest.approx(b - np.sqrt(b * b - (9.0 - 0.25)))
    assert np.isinf(image[0, 0])


def test_normals_by_hand():
    image = normals(ball(), Camera.centred(FRONT, 10.0, 5, 5))
    np.testing.assert_allclose(image[2, 2], [0.0, 0.0, 1.0])
    t = depth(ball(), Camera.centred(FRONT, 10.0, 5, 5))[1, 2]
    np.testing.assert_allclose(image[1, 2], (np.array([0, 0, 3]) + t * np.array([0, 0.1, -1]) / np.sqrt(1.01)) / 0.5)
    np.testing.assert_array_equal(image[0, 0], 0.0)


@pytest.mark.parametrize(
    ("position", "row", "column"), [((0.9, 0.0, 0.0), 2, 4), ((0.0, 0.9, 0.0), 0, 2), ((-0.9, 0.0, 0.0), 2, 0)]
)
def test_right_is_right_and_up_is_up(position, row, column):
    alpha = render(ball(position, 0.2), Camera.centred(FRONT, 6.0, 5, 5), 1)[..., 3]
    assert alpha.sum() == 1.0
    assert alpha[row, column] == 1.0


def test_fx_fy_cx_cy_are_told_apart():
    """The ball's centre (0.9, 0.3, 0) is seen at u = 4 + 20 0.3, v = 3 - 10 0.1."""
    alpha = render(ball((0.9, 0.3, 0.0), 0.05), Camera(FRONT, 20.0, 10.0, 4.0, 3.0, 12, 6), 8)[..., 3]
    rows, columns = np.nonzero(alpha)
    assert {*rows} == {1, 2}
    assert {*columns} == {9, 10}
    assert alpha.shape == (6, 12)


def test_colour_by_hand():
    scene = ball(direction=(0.0, 0.0, 1.0), sun=0.6, sky=(0.2, 0.4, 0.6))
    image = render(scene, Camera.centred(FRONT, 10.0, 5, 5), 1)
    np.testing.assert_allclose(image[2, 2], [*(0.5 * np.array([0.8, 1.0, 1.2])) ** (1.0 / 2.2), 1.0])
    np.testing.assert_array_equal(image[0, 0], 0.0)


def test_coverage_is_the_area_of_the_disc():
    """A ball of radius r at distance D is seen as a disc of radius f r / sqrt(D² - r²)."""
    alpha = render(ball(), Camera.centred(FRONT, 60.0, 32, 32), 4)[..., 3]
    assert alpha.sum() == pytest.approx(np.pi * 60.0**2 * 0.25 / 8.75, rel=5e-3)
    assert 0.0 < np.mean((alpha > 0.0) & (alpha < 1.0)) < 0.2


def test_colour_is_straight_not_premultiplied():
    """In even light a ball has one colour, at its rim too."""
    scene = ball(sun=0.0, sky=(0.4, 0.6, 0.8), ground=(0.4, 0.6, 0.8))
    image = render(scene, Camera.centred(FRONT, 30.0, 16, 16), 4)
    seen = image[..., 3] > 0.0
    assert (image[seen][:, 3] < 1.0).any()
    np.testing.assert_allclose(
        image[seen][:, :3], np.tile((0.5 * np.array([0.4, 0.6, 0.8])) ** (1 / 2.2), (seen.sum(), 1))
    )


def test_supersampling_is_the_mean_of_a_larger_picture():
    pose = look_at(np.array([2.0, -2.0, 1.5]), np.zeros(3))
    small = render(demo_scene(), Camera.centred(pose, 24.0, 24, 24), 3)
    large = render(demo_scene(), Camera.centred(pose, 72.0, 72, 72), 1)
    large[..., :3] *= large[..., 3:]
    mean = large.reshape(24, 3, 24, 3, 4).mean(axis=(1, 3))
    small[..., :3] *= small[..., 3:]
    np.testing.assert_allclose(small, mean, atol=1e-12)


def test_same_picture_again_and_in_another_thread():
    pose = look_at(np.array([2.0, -2.0, 1.5]), np.zeros(3))
    args = (demo_scene(), Camera.centred(pose, 40.0, 32, 32), 2)
    first = render(*args)
    with ThreadPoolExecutor(2) as pool:
        for other in pool.map(lambda _: render(*args), range(3)):
            np.testing.assert_array_equal(first, other)


def test_demo_picture_is_in_range_and_clear_around():
    for pose in dome(np.array([0.0, 4.0, 9.0]), 10, np.array([0.0, 0.0, -0.1]), 3.3, (2.0, 80.0)):
        image = render(demo_scene(), Camera.centred(pose, 55.0, 40, 40), 1)
        assert image.min() >= 0.0
        assert image.max() <= 1.0
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert (border == 0.0).all()
        assert 0.2 < image[..., 3].mean() < 0.6


def test_a_lens_that_distorts_is_refused():
    camera = Camera(FRONT, 10.0, 10.0, 2.5, 2.5, 5, 5, distortion=(0.1, 0.0, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="without distortion"):
        depth(ball(), camera)


def test_look_at():
    pose = look_at(np.array([2.0, 0.0, 0.0]), np.zeros(3))
    np.testing.assert_allclose(pose, [[0, 0, 1, 2], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], atol=1e-12)


def test_dome_has_the_elevations_and_spreads_evenly():
    poses = dome(np.arange(60.0), 60, np.array([0.1, 0.2, 0.3]), 2.0, (10.0, 70.0))
    from_target = poses[:, :3, 3] - [0.1, 0.2, 0.3]
    np.testing.assert_allclose(np.linalg.norm(from_target, axis=1), 2.0)
    np.testing.assert_allclose(poses[:, :3, 2] * 2.0, from_target, atol=1e-12)
    elevation = np.degrees(np.arcsin(from_target[:, 2] / 2.0))
    assert elevation.min() > 10.0
    assert elevation.max() < 70.0
    cosine = poses[:, :3, 2] @ poses[:, :3, 2].T - 3.0 * np.eye(60)
    nearest = np.degrees(np.arccos(cosine.max(axis=1)))
    assert nearest.min() > 0.7 * nearest.max()


def test_held_out_places_are_halfway_and_all_different():
    np.testing.assert_allclose(held_out_places(10, 2), [2.5, 7.5])
    np.testing.assert_allclose(held_out_places(1, 2), [1 / 3, 2 / 3])
    for count, held_out in ((10, 15), (100, 15), (3, 3)):
        places = held_out_places(count, held_out)
        assert len(np.unique(places)) == held_out
        assert (places % 1.0 > 0.0).all()


def test_pick_evenly():
    np.testing.assert_array_equal(np.flatnonzero(pick_evenly(9, 3)), [1, 4, 7])
    assert not pick_evenly(4, 0).any()
    assert pick_evenly(4, 4).all()
