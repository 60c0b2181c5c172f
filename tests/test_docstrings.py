"""The worked examples in the docstrings of the rooms that are used from outside."""

import doctest
import inspect
import math
from collections.abc import Callable

import pytest
import torch
from nerfstudio.cameras.rays import RayBundle

from nerf_plugins import ops, spaces
from nerf_plugins.spaces import gaussians

NAMES = {"torch": torch, "math": math, "RayBundle": RayBundle}
"""What the examples use besides what their room offers."""
OPS = [getattr(ops, name) for name in ops.__all__ if inspect.isfunction(getattr(ops, name))]
SPACES = [getattr(spaces, name) for name in spaces.__all__ if name not in ("SPACES", "Space")]


# Not pytest's --doctest-modules: it leaves out functions that the run-time type checker has wrapped.
@pytest.mark.parametrize("shown", [*OPS, *SPACES, gaussians.cylinder_moments])
def test_examples_have_the_numbers_they_show(shown: Callable):
    names = {name: value for room in (ops, spaces, gaussians) for name, value in vars(room).items()} | NAMES
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(shown) or "", names, shown.__name__, None, 0)
    assert example.examples, "a public function shows an example"
    report: list[str] = []
    results = doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert results.failed == 0, "".join(report)
