"""Shared set-up: the run-time type checker and a switch for it, repeatable property tests."""

import pkgutil

import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import config as jaxtyping_config
from jaxtyping import install_import_hook

import nerf_plugins

UNCHECKED = {"kernels", "experiments", "sweep", "evaluation"}
"""Rooms that are not type-checked at run time. Warp compiles the kernels' source, so nothing may be wrapped around it; the
others are made of protocols, which cannot be asked at run time."""
CHECKED = [f"nerf_plugins.{m.name}" for m in pkgutil.iter_modules(nerf_plugins.__path__) if m.name not in UNCHECKED]
# Every new room is checked without being listed. PEP 484's tower: an int is a float too.
install_import_hook(CHECKED, "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

SLOW_IS_FINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("repeatable", derandomize=True, max_examples=40, **SLOW_IS_FINE)
settings.register_profile("thorough", max_examples=500, **SLOW_IS_FINE)  # pytest --hypothesis-profile thorough
settings.load_profile("repeatable")


@pytest.fixture
def generator():
    """A seeded random generator on the CPU."""
    return torch.Generator().manual_seed(1234)


@pytest.fixture
def without_type_checker():
    """Turn jaxtyping's run-time checks off, as they are for a user: bad input must reach the op's own checks."""
    before = jaxtyping_config.jaxtyping_disable
    jaxtyping_config.update("jaxtyping_disable", True)
    yield
    jaxtyping_config.update("jaxtyping_disable", before)
