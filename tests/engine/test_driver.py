"""A driver that is too old is said in one line before training."""

import pytest
import torch
import warp as wp

from nerf_plugins.engine import driver
from nerf_plugins.errors import InputError

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture
def old_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "driver_cuda_version", lambda: (12, 4))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(wp, "is_cuda_available", lambda: False)


@pytest.mark.usefixtures("old_driver")
def test_cuda_without_warp_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wp, "get_cuda_toolkit_version", lambda: (13, 0))
    with pytest.raises(
        InputError, match=r"^Warp .* needs an NVIDIA driver for CUDA 13, and this one is for CUDA 12.4: update"
    ) as e:
        driver.check_driver(CUDA)
    assert "\n" not in str(e.value)


@pytest.mark.usefixtures("old_driver")
def test_a_cpu_beside_a_gpu_that_torch_cannot_use_is_mentioned(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    said = driver.check_driver(CPU)
    assert said is not None
    assert said.startswith("Training on the CPU: torch is built for CUDA 13.0")
    assert "CUDA 12.4" in said


@pytest.mark.usefixtures("old_driver")
def test_nothing_is_said_without_a_driver_or_where_all_is_well(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    assert driver.check_driver(CPU) is None
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(driver, "driver_cuda_version", lambda: None)
    assert driver.check_driver(CPU) is None
    monkeypatch.setattr(wp, "is_cuda_available", lambda: True)
    assert driver.check_driver(CUDA) is None
