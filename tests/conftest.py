"""Shared set-up: repeatable property tests, and a switch for the run-time type checker."""

import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import config as jaxtyping_config

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
