"""The examples in the docstrings of the public functions."""

import doctest
import inspect
import math

import pytest
import torch

from nerf_plugins import ops

FUNCTIONS = [name for name in ops.__all__ if inspect.isfunction(getattr(ops, name))]


# Not pytest's --doctest-modules: it leaves out functions that the run-time type checker has wrapped.
@pytest.mark.parametrize("name", FUNCTIONS)
def test_examples_have_the_numbers_they_show(name: str):
    names = {"torch": torch, "math": math, **{name: getattr(ops, name) for name in ops.__all__}}
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(getattr(ops, name)), names, name, None, 0)
    assert example.examples, "a public function shows an example"
    report: list[str] = []
    results = doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert results.failed == 0, "".join(report)
