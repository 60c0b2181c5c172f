"""Importing Warp and the kernels before they are needed."""

import importlib
import pkgutil


def import_kernels() -> None:
    """Imports Warp and every module of kernels; compiles nothing.

    The ops import what they need when they are first called, so that a command that only shows its help doesn't wait for it. Whoever may be
    interrupted by an exception between any two lines, as nerfstudio's viewer interrupts a picture, calls this before: Python keeps the
    parts of a package that were imported and forgets the package, and Warp can't be imported a second time on top of them.
    """
    kernels = importlib.import_module("nerf_plugins.kernels")
    for module in pkgutil.iter_modules(kernels.__path__, "nerf_plugins.kernels."):
        importlib.import_module(module.name)
