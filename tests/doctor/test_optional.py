"""What training does not need, with fake modules."""

import importlib.machinery

import pytest
import torch

from nerf_plugins.doctor import optional
from nerf_plugins.doctor.findings import Finding


@pytest.fixture
def nerfacc(monkeypatch, tmp_path):
    """A nerfacc that cannot be imported, on a machine with a CUDA device, with and without what its build needs."""
    folder = tmp_path / "nerfacc"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('nerfacc was imported')")
    spec = importlib.machinery.ModuleSpec("nerfacc", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(optional.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(optional.importlib.metadata, "version", lambda name: "0.5.2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "built"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def give_nvcc(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvcc").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "nvcc").chmod(0o755)


def test_nerfacc_absent(monkeypatch):
    monkeypatch.setattr(optional.importlib.util, "find_spec", lambda name: None)
    finding = optional.probe_nerfacc("nerfacc")
    assert finding == Finding("nerfacc", "optional", "not installed; our methods do not need it")


def test_nerfacc_without_a_cuda_device_is_no_complaint(nerfacc, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    finding = optional.probe_nerfacc("nerfacc")
    assert (finding.status, finding.advice) == ("optional", "")


def test_tinycudann_absent(monkeypatch):
    monkeypatch.setattr(optional.importlib.util, "find_spec", lambda name: None)
    finding = optional.probe_tinycudann("tinycudann")
    assert finding == Finding("tinycudann", "optional", "not installed; our methods do not need it")


def test_nerfacc_without_compiler_cannot_be_used(nerfacc):
    finding = optional.probe_nerfacc("nerfacc")
    assert finding.status == "optional"
    assert "no nvcc" in finding.detail


def test_nerfacc_is_not_built_by_looking_at_it(nerfacc):
    give_nvcc(nerfacc)
    finding = optional.probe_nerfacc("nerfacc")
    assert finding.status == "optional"
    assert "not built yet" in finding.detail
    assert not (nerfacc / "built").exists()


def test_nerfacc_built_before_is_ok(nerfacc):
    give_nvcc(nerfacc)
    (nerfacc / "built" / "nerfacc_cuda").mkdir(parents=True)
    (nerfacc / "built" / "nerfacc_cuda" / "nerfacc_cuda.so").touch()
    assert optional.probe_nerfacc("nerfacc").status == "ok"


def test_nerfacc_with_a_compiled_wheel_is_ok(nerfacc):
    (nerfacc / "nerfacc" / "csrc.cpython-312-x86_64-linux-gnu.so").touch()
    assert optional.probe_nerfacc("nerfacc").status == "ok"


def test_the_folder_of_built_extensions_is_torchs(monkeypatch, tmp_path):
    from torch.utils import cpp_extension

    monkeypatch.delenv("TORCH_EXTENSIONS_DIR", raising=False)
    monkeypatch.setattr(cpp_extension, "get_default_build_root", lambda: str(tmp_path))
    expected = cpp_extension._get_build_directory("nerfacc_cuda", verbose=False)
    assert str(optional._torch_extensions() / "nerfacc_cuda") == expected


def test_lpips_weights_are_looked_for_in_torchs_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert optional.probe_lpips("LPIPS weights").status == "missing"
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / optional.LPIPS_WEIGHTS).touch()
    assert optional.probe_lpips("LPIPS weights").status == "ok"


def test_the_weights_name_is_torchvisions():
    from torchvision.models import AlexNet_Weights

    assert AlexNet_Weights.IMAGENET1K_V1.url.endswith(f"/{optional.LPIPS_WEIGHTS}")
