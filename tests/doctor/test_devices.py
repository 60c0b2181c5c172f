"""What computes: with a faked torch, driver and Warp, and once for real."""

import sys
import types

import pytest
import torch

from nerf_plugins.doctor import devices
from nerf_plugins.doctor.probes import PROBES
from nerf_plugins.doctor.report import examine


def test_cuda_missing(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "nvidia_driver", lambda: None)
    finding = devices.probe_cuda("CUDA devices")
    assert (finding.status, finding.detail) == ("missing", "none")


def test_a_driver_without_a_device_for_torch_is_broken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    monkeypatch.setattr(devices, "nvidia_driver", lambda: "470.1")
    finding = devices.probe_cuda("CUDA devices")
    assert finding.status == "broken"
    assert "470.1" in finding.detail
    assert "13.2" in finding.advice


def test_cuda_devices_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    card = types.SimpleNamespace(name="Card", total_memory=24 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: card)
    monkeypatch.setattr(devices, "nvidia_driver", lambda: "580.1")
    assert devices.probe_cuda("x").detail == "cuda:0 Card, 24 GiB; driver 580.1"


def test_the_driver_is_read_from_nvidia_smi(monkeypatch, tmp_path):
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\nprintf '580.1\\n580.1\\n'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert devices.nvidia_driver() == "580.1"
    command.write_text("#!/bin/sh\necho no devices; exit 9\n")
    assert devices.nvidia_driver() is None


def test_warp_that_cannot_start_is_broken(monkeypatch):
    def init():
        raise RuntimeError("no LLVM")

    fake = types.SimpleNamespace(init=init)
    monkeypatch.setitem(sys.modules, "warp", fake)
    warp = next(probe for probe in PROBES if probe.name == "Warp")
    report = examine([warp])
    assert report.findings[0].status == "broken"
    assert report.findings[0].detail == "RuntimeError: no LLVM"
    assert "warp-lang" in report.findings[0].advice
    assert not report.can_run


def test_warp_without_cuda_beside_a_torch_with_it_is_broken(monkeypatch):
    import warp as wp

    if wp.is_cuda_available():
        pytest.skip("Warp has CUDA here")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices, "nvidia_driver", lambda: "550.54")
    monkeypatch.setattr(wp, "get_cuda_toolkit_version", lambda: (13, 4))
    finding = devices.probe_warp("Warp")
    assert finding.status == "broken"
    assert "Warp has not" in finding.detail
    assert "built with CUDA 13.4, which needs an NVIDIA driver 580 or later; here it is 550.54" in finding.advice
    assert "\n" not in finding.advice


def test_the_driver_that_the_installed_warp_needs_is_known():
    import warp as wp

    assert wp.get_cuda_toolkit_version()[0] in devices.DRIVERS


def test_warp_runs_a_kernel():
    finding = devices.probe_warp("Warp")
    assert finding.status == "ok"
    assert "cpu" in finding.detail


@pytest.mark.parametrize(("flags", "status"), [("fpu amx_bf16 amx_tile", "ok"), ("fpu avx2", "missing")])
def test_bf16_is_read_from_the_cpus_flags(monkeypatch, tmp_path, flags, status):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")
    monkeypatch.setattr(devices, "_CPUINFO", tmp_path / "cpuinfo")
    assert devices.probe_cpu("CPU bf16").status == status


@pytest.mark.parametrize(
    ("policy", "does"), [("PASSIVE", "sleep"), ("active", "spin"), (None, "spin for a while, then sleep")]
)
def test_threads_and_what_they_do_while_they_wait(monkeypatch, policy, does):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("GOMP_SPINCOUNT", "100")
    monkeypatch.delenv("KMP_BLOCKTIME", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if policy is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    wanted = f"always 7: OMP_NUM_THREADS is 7; while they wait they {does} (OMP_WAIT_POLICY {policy or 'not set'}, GOMP_SPINCOUNT 100)"
    assert devices.probe_threads("CPU threads").detail == wanted
