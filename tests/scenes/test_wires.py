import numpy as np
import pytest

from nerf_plugins.scenes import SCENES
from nerf_plugins.scenes.wires import THICKNESSES


def test_wires_fit_the_box_and_there_is_a_frame_of_each_thickness():
    scene = SCENES["wires"]()
    assert np.abs(scene.bounds).max() <= 1.0
    names = [placed.name for placed in scene.objects]
    assert names.count("table") == 1
    assert [names.count(f"wires {x:g} thick") for x in THICKNESSES] == [4] * len(THICKNESSES)


@pytest.mark.parametrize("thickness", THICKNESSES)
def test_a_wire_is_as_thick_as_its_name_says(thickness: float):
    """Every part is half of it deep: the axis of the thickest place inside is that far from the surface."""
    mine = [placed for placed in SCENES["wires"]().objects if placed.name == f"wires {thickness:g} thick"]
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (200_000, 3))
    for placed in mine:
        near = points[np.abs(placed.sdf(points)) < 0.1]
        inward = near - placed.sdf(near)[:, None] * placed.normal(near)
        np.testing.assert_allclose(placed.sdf(inward), 0.0, atol=1e-6)
        deepest = placed.sdf(inward - 0.5 * thickness * placed.normal(inward))
        assert deepest.min() == pytest.approx(-0.5 * thickness, rel=1e-6)
