"""That the package is type-checked at run time in these tests, and the kernels are not."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from nerf_plugins.kernels import march
from nerf_plugins.scenes import Sphere
from nerf_plugins.scenes.cameras import look_at


def test_a_wrong_shape_is_refused():
    with pytest.raises(TypeCheckError):
        look_at(np.zeros(2), np.zeros(3))


def test_an_int_is_a_float_too():
    assert Sphere(1).radius == 1


def test_the_kernels_are_left_alone():
    assert type(march.__loader__).__name__ == "SourceFileLoader"
