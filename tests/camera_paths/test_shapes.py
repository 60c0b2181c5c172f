"""The shapes against what they are by definition."""

import pkgutil
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nerf_plugins.camera_paths import shapes
from nerf_plugins.camera_paths.layout import describe_layout
from nerf_plugins.camera_paths.options import SHAPES
from nerf_plugins.camera_paths.poses import order_by_nearest, poses_around, poses_through
from nerf_plugins.camera_paths.shapes.base import AroundPointOptions
from nerf_plugins.camera_paths.shapes.cone import ConeOptions
from nerf_plugins.camera_paths.shapes.dolly import DollyOptions
from nerf_plugins.camera_paths.shapes.interpolate import InterpolateOptions
from nerf_plugins.camera_paths.shapes.orbit import OrbitOptions, is_closed
from nerf_plugins.camera_paths.shapes.spiral import SpiralOptions
from tests.camera_paths.rigs import UP, assert_looks_at, looking_at, ring

TARGET = np.array([0.3, -0.2, 0.1])
TOP = (0.0, 0.0, 1.0)


@pytest.fixture
def layout():
    """Cameras on one side: the front is +x."""
    around = np.radians(np.linspace(-30.0, 30.0, 7))
    offsets = np.stack([2.0 * np.cos(around), 2.0 * np.sin(around), np.full(7, 1.0)], axis=1)
    return describe_layout(looking_at(TARGET, TARGET + offsets), TARGET, UP)


def make(shape: type[AroundPointOptions], layout, **options):
    """Poses."""
    return poses_around(layout, shape(load_config=Path(), **options).around(layout))


def test_an_orbit_is_a_level_circle(layout):
    poses = make(OrbitOptions, layout, frames=8, distance=2.5, elevation=30.0)
    assert_looks_at(poses, TARGET, 2.5)
    offsets = poses[:, :3, 3] - TARGET
    np.testing.assert_allclose(offsets[:, 2], 1.25)
    azimuths = np.degrees(np.arctan2(offsets[:, 1], offsets[:, 0])) % 360.0
    np.testing.assert_allclose(np.minimum(azimuths, 360.0 - azimuths), [0, 45, 90, 135, 180, 135, 90, 45], atol=1e-9)
    np.testing.assert_allclose(azimuths[1:], np.arange(1, 8) * 45.0)
    np.testing.assert_allclose(poses[:, 2, 0], 0.0, atol=1e-12)  # the horizon is level
    assert (poses[:, 2, 1] > 0.0).all()  # and the right way up


def test_an_arc_has_both_ends(layout):
    poses = make(OrbitOptions, layout, frames=3, distance=1.0, elevation=0.0, start=-20.0, arc=-60.0)
    offsets = poses[:, :3, 3] - TARGET
    np.testing.assert_allclose(np.degrees(np.arctan2(offsets[:, 1], offsets[:, 0])), [-20.0, -50.0, -80.0])
    assert is_closed(-720.0)
    assert not is_closed(90.0)
    assert not is_closed(0.0)


def test_a_spiral_opens_evenly(layout):
    axis = (1.0, 0.0, 0.0)
    poses = make(SpiralOptions, layout, frames=9, axis=axis, turns=2.0, angles=(0.0, 40.0), distances=(2.0, 4.0))
    distances = np.linspace(2.0, 4.0, 9)
    assert_looks_at(poses, TARGET, distances)
    directions = (poses[:, :3, 3] - TARGET) / distances[:, None]
    np.testing.assert_allclose(np.degrees(np.arccos(np.clip(directions @ axis, -1, 1))), np.arange(9) * 5.0, atol=1e-6)
    # Two turns in eight steps: a quarter turn each, from up to the left of who looks along the axis, and on.
    np.testing.assert_allclose(
        directions[1:, 2] / np.sin(np.radians(np.arange(1, 9) * 5.0)), [0, -1, 0, 1] * 2, atol=1e-9
    )
    assert directions[1, 1] < 0.0 < directions[3, 1]


def test_a_spiral_over_the_top_does_not_jump(layout):
    poses = make(SpiralOptions, layout, frames=200, axis=TOP, turns=1.0, angles=(0.0, 20.0), distances=(1.0, 1.0))
    assert np.isfinite(poses).all()
    steps = Rotation.from_matrix(poses[:-1, :3, :3]).inv() * Rotation.from_matrix(poses[1:, :3, :3])
    assert np.degrees(steps.magnitude()).max() < 3.0


def test_a_cone_has_its_angles_and_distances(layout):
    axis = (0.6, 0.0, 0.8)
    poses = make(ConeOptions, layout, frames=11, axis=axis, angles=(10.0, 20.0, 35.0), distances=(1.0, 2.0, 3.0))
    counts = [4, 4, 3]
    distances = np.repeat([1.0, 2.0, 3.0], counts)
    assert_looks_at(poses, TARGET, distances)
    offsets = poses[:, :3, 3] - TARGET
    angles = np.degrees(np.arccos(offsets @ axis / distances))
    np.testing.assert_allclose(angles, np.repeat([10.0, 20.0, 35.0], counts))
    for circle in np.split(offsets, [4, 8]):
        np.testing.assert_allclose(
            np.cross(circle.mean(axis=0), axis), 0.0, atol=1e-12
        )  # spread evenly around the axis
        steps = np.linalg.norm(circle - np.roll(circle, 1, axis=0), axis=1)
        np.testing.assert_allclose(steps, steps[0])


def test_a_circle_on_the_axis_itself_is_one_view(layout):
    poses = make(ConeOptions, layout, frames=3, axis=TOP, angles=(0.0,), distances=(2.0,))
    assert_looks_at(poses, TARGET, 2.0)
    np.testing.assert_allclose(poses[:, :3, 3], np.tile(TARGET + 2.0 * UP, (3, 1)), atol=1e-12)


def test_a_dolly_is_straight(layout):
    poses = make(DollyOptions, layout, frames=5, direction=(0.0, 3.0, 4.0), distances=(5.0, 1.0))
    assert_looks_at(poses, TARGET, [5.0, 4.0, 3.0, 2.0, 1.0])
    np.testing.assert_allclose(poses[:, :3, 3], TARGET + np.outer([5, 4, 3, 2, 1], [0.0, 0.6, 0.8]))
    np.testing.assert_allclose(poses[:, :3, :3], np.broadcast_to(poses[0, :3, :3], (5, 3, 3)), atol=1e-12)


def test_a_dolly_from_straight_above(layout):
    poses = make(DollyOptions, layout, frames=2, direction=TOP, distances=(2.0, 1.0))
    assert_looks_at(poses, TARGET, [2.0, 1.0])
    # As an orbit arrives there: the picture's lower edge is the front.
    np.testing.assert_allclose(poses[:, :3, 1], np.tile([-1.0, 0.0, 0.0], (2, 1)), atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        (OrbitOptions, {"distance": 2.0, "elevation": 30.0, "arc": 90.0}),
        (SpiralOptions, {"axis": TOP, "turns": 2.0, "angles": (10.0, 20.0), "distances": (2.0, 3.0)}),
        (DollyOptions, {"direction": TOP, "distances": (2.0, 1.0)}),
    ],
)
def test_a_single_view_is_the_first_one(layout, shape, options):
    poses = make(shape, layout, frames=1, **options)
    assert_looks_at(poses, TARGET, [2.0])
    np.testing.assert_allclose(poses, make(shape, layout, frames=5, **options)[:1])


def through(given, fovs, **options):
    shape = InterpolateOptions(load_config=Path(), **options)
    return poses_through(given, fovs, shape.times(len(given)), shape.closed)


@pytest.mark.parametrize(("closed", "count"), [(False, 13), (True, 16)])
def test_interpolation_hits_every_pose(closed, count):
    rng = np.random.default_rng(3)
    given = np.tile(np.eye(4), (4, 1, 1))
    given[:, :3, :3] = Rotation.random(4, random_state=1).as_matrix()
    given[:, :3, 3] = rng.normal(size=(4, 3))
    fovs = np.array([40.0, 50.0, 45.0, 60.0])
    poses, between = through(given, fovs, steps=4, closed=closed)
    assert len(poses) == len(between) == count
    np.testing.assert_allclose(poses[::4], given, atol=1e-9)
    np.testing.assert_allclose(between[::4], fovs)
    np.testing.assert_allclose(np.linalg.det(poses[:, :3, :3]), 1.0)
    low, high = given[:, :3, 3].min(axis=0), given[:, :3, 3].max(axis=0)
    assert ((poses[:, :3, 3] >= low - 1e-9) & (poses[:, :3, 3] <= high + 1e-9)).all()  # no overshoot


def test_interpolation_of_two_poses_is_even():
    given = np.tile(np.eye(4), (2, 1, 1))
    given[1, :3, :3] = Rotation.from_euler("z", 60.0, degrees=True).as_matrix()
    given[1, :3, 3] = [1.0, 2.0, 3.0]
    poses, _ = through(given, np.full(2, 50.0), steps=3, closed=False)
    np.testing.assert_allclose(poses[:, :3, 3], np.outer([0, 1 / 3, 2 / 3, 1], [1.0, 2.0, 3.0]))
    np.testing.assert_allclose(
        Rotation.from_matrix(poses[:, :3, :3]).magnitude(), np.radians([0, 20, 40, 60]), atol=1e-12
    )


def test_a_closed_interpolation_is_smooth_where_it_closes():
    given = ring(TARGET, 2.0, 1.0, 6)
    poses, _ = through(given, np.full(6, 50.0), steps=50, closed=True)
    steps = np.roll(poses[:, :3, 3], -1, axis=0) - poses[:, :3, 3]
    turns = np.linalg.norm(steps - np.roll(steps, 1, axis=0), axis=1)
    assert turns[0] < 2.0 * np.median(turns) + 1e-3
    spins = Rotation.from_matrix(poses[:, :3, :3]).inv() * Rotation.from_matrix(np.roll(poses, -1, axis=0)[:, :3, :3])
    change = np.linalg.norm(spins.as_rotvec() - np.roll(spins.as_rotvec(), 1, axis=0), axis=1)
    assert change[0] < 0.1 * np.degrees(spins.magnitude().max())


def test_the_nearest_comes_next():
    positions = np.array([[0.0, 0, 0], [5, 0, 0], [1, 0, 0], [3, 0, 0], [-9, 0, 0]])
    assert order_by_nearest(positions) == [0, 2, 3, 1, 4]


def test_every_file_of_a_shape_is_listed():
    files = {module.name for module in pkgutil.iter_modules(shapes.__path__)} - {"base"}
    assert files == {shape.shape for shape in SHAPES}
