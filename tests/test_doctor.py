"""The doctor with faked probes and fake modules, and once for real."""

import builtins
import importlib.machinery
import importlib.metadata
import json
import re
import sys
import types

import pytest
import torch

from nerf_plugins import doctor
from nerf_plugins.doctor import Finding, Probe

HEALTHY = ("Python", "torch", "CUDA devices", "Warp", "nerfstudio", "ffmpeg", "LPIPS weights")


def raises(error):
    def probe(name):
        raise error

    return probe


def fixed(status, detail="", advice=""):
    return lambda name: Finding(name, status, detail, advice)


def healthy(**other):
    """Probes that all find what they look for, but for those given by name (a space is an underscore)."""
    other = {name.replace("_", " "): run for name, run in other.items()}
    required = {probe.name for probe in doctor.PROBES if probe.required}
    return [Probe(name, other.get(name, fixed("ok", "there")), required=name in required) for name in HEALTHY]


def test_a_healthy_machine_runs_everything_on_cuda():
    report = doctor.examine(healthy())
    assert report.can_run
    assert [finding.status for finding in report.findings] == ["ok"] * len(HEALTHY)
    assert report.backends["ray marching"] == "Warp on cuda:0"
    assert report.backends["field"] == "torch on cuda:0"
    assert report.backends["video"] == "ffmpeg there"


def test_without_cuda_everything_runs_on_the_cpu():
    report = doctor.examine(healthy(CUDA_devices=fixed("missing", "none")))
    assert report.can_run
    assert report.backends["ray marching"] == "Warp on cpu"
    assert report.backends["field"] == "torch on cpu"


def test_a_probe_that_raises_is_broken_with_its_first_line_and_the_advice():
    probe = Probe("Warp", raises(OSError("no driver\nsecond line")), required=True, advice="reinstall it")
    report = doctor.examine([probe])
    assert report.findings == (Finding("Warp", "broken", "OSError: no driver", "reinstall it"),)
    assert not report.can_run
    assert report.backends["ray marching"].startswith("cannot run")


@pytest.mark.parametrize("error", [SystemExit(3), RuntimeError(), ImportError("libGL.so.1: cannot open")])
def test_no_probe_can_crash_the_doctor(error):
    report = doctor.examine(healthy(LPIPS_weights=raises(error)))
    assert report.findings[-1].status == "broken"
    assert report.can_run


def test_what_a_probe_prints_is_kept_out_of_the_report(capsys):
    def noisy(name):
        print("noise")
        print("noise", file=sys.stderr)
        return Finding(name, "ok", "fine")

    doctor.show(doctor.examine([Probe("noisy", noisy)]), as_json=True)
    captured = capsys.readouterr()
    assert json.loads(captured.out)["findings"][0]["detail"] == "fine"
    assert captured.err == ""


def test_the_json_holds_the_whole_report(capsys):
    report = doctor.examine(healthy(LPIPS_weights=fixed("missing", "not there", "copy them")))
    doctor.show(report, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert answer["can_run"] is True
    assert answer["findings"][-1] == {
        "name": "LPIPS weights",
        "status": "missing",
        "detail": "not there",
        "advice": "copy them",
    }
    assert answer["backends"] == report.backends


def test_the_table_shows_findings_and_advice_as_they_are(capsys):
    finding = fixed("broken", "error [Errno 2] in [bold]", "look at [this]")
    doctor.show(doctor.examine(healthy(LPIPS_weights=finding)))
    out = capsys.readouterr().out
    assert "error [Errno 2] in [bold]" in out
    assert "LPIPS weights: look at [this]" in out


def test_the_last_lines_say_what_can_be_trained_and_how(capsys):
    doctor.show(doctor.examine(healthy()))
    methods, command = capsys.readouterr().out.splitlines()[-2:]
    assert methods.endswith(" can be trained here.")
    assert all(method in methods for method in doctor.METHODS)
    assert command.endswith(": ns-train nerf-hash-custom demo-data")


def test_the_last_line_says_what_stands_in_the_way(capsys):
    report = doctor.examine(healthy(Warp=fixed("broken"), LPIPS_weights=fixed("missing")))
    assert report.blocked_by == ("Warp",)
    doctor.show(report)
    assert capsys.readouterr().out.splitlines()[-1] == "No method can be trained before this is mended: Warp."


def test_the_methods_are_those_of_the_package():
    names = {point.name for point in importlib.metadata.entry_points(group="nerfstudio.method_configs")}
    assert set(doctor.METHODS) <= names


def test_a_method_that_nerfstudio_does_not_find_is_named(monkeypatch):
    from nerfstudio.configs import method_configs

    known = {name: config for name, config in method_configs.all_methods.items() if name != "neus-custom"}
    monkeypatch.setattr(method_configs, "all_methods", known)
    finding = doctor.probe_nerfstudio("nerfstudio")
    assert finding.status == "broken"
    assert finding.detail.endswith("does not know neus-custom")


def test_cuda_missing(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(doctor, "_nvidia_driver", lambda: None)
    finding = doctor.probe_cuda("CUDA devices")
    assert (finding.status, finding.detail) == ("missing", "none")


def test_a_driver_without_a_device_for_torch_is_broken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    monkeypatch.setattr(doctor, "_nvidia_driver", lambda: "470.1")
    finding = doctor.probe_cuda("CUDA devices")
    assert finding.status == "broken"
    assert "470.1" in finding.detail
    assert "13.2" in finding.advice


def test_cuda_devices_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    card = types.SimpleNamespace(name="Card", total_memory=24 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: card)
    monkeypatch.setattr(doctor, "_nvidia_driver", lambda: "580.1")
    assert doctor.probe_cuda("x").detail == "cuda:0 Card, 24 GiB; driver 580.1"


def test_the_driver_is_read_from_nvidia_smi(monkeypatch, tmp_path):
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\nprintf '580.1\\n580.1\\n'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert doctor._nvidia_driver() == "580.1"
    command.write_text("#!/bin/sh\necho no devices; exit 9\n")
    assert doctor._nvidia_driver() is None


def test_warp_that_cannot_start_is_broken(monkeypatch):
    fake = types.SimpleNamespace(init=lambda: raises(RuntimeError("no LLVM"))("warp"))
    monkeypatch.setitem(sys.modules, "warp", fake)
    warp = next(probe for probe in doctor.PROBES if probe.name == "Warp")
    report = doctor.examine([warp])
    assert report.findings[0].status == "broken"
    assert report.findings[0].detail == "RuntimeError: no LLVM"
    assert "warp-lang" in report.findings[0].advice
    assert not report.can_run


def test_warp_without_cuda_beside_a_torch_with_it_is_broken(monkeypatch):
    import warp as wp

    if wp.is_cuda_available():
        pytest.skip("Warp has CUDA here")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    finding = doctor.probe_warp("Warp")
    assert finding.status == "broken"
    assert "Warp has not" in finding.detail


def test_warp_runs_a_kernel():
    finding = doctor.probe_warp("Warp")
    assert finding.status == "ok"
    assert "cpu" in finding.detail


@pytest.fixture
def nerfacc(monkeypatch, tmp_path):
    """A nerfacc that cannot be imported, on a machine with a CUDA device, with and without what its build needs."""
    folder = tmp_path / "nerfacc"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('nerfacc was imported')")
    spec = importlib.machinery.ModuleSpec("nerfacc", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(doctor.importlib.metadata, "version", lambda name: "0.5.2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "built"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def give_nvcc(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvcc").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "nvcc").chmod(0o755)


def test_nerfacc_absent(monkeypatch):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    finding = doctor.probe_nerfacc("nerfacc")
    assert finding == Finding("nerfacc", "optional", "not installed; our methods do not need it")


def test_nerfacc_without_a_cuda_device_is_no_complaint(nerfacc, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    finding = doctor.probe_nerfacc("nerfacc")
    assert (finding.status, finding.advice) == ("optional", "")


def test_tinycudann_absent(monkeypatch):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    finding = doctor.probe_tinycudann("tinycudann")
    assert finding == Finding("tinycudann", "optional", "not installed; our methods do not need it")


def test_nerfacc_without_compiler_cannot_be_used(nerfacc):
    finding = doctor.probe_nerfacc("nerfacc")
    assert finding.status == "optional"
    assert "no nvcc" in finding.detail


def test_nerfacc_is_not_built_by_looking_at_it(nerfacc):
    give_nvcc(nerfacc)
    finding = doctor.probe_nerfacc("nerfacc")
    assert finding.status == "optional"
    assert "not built yet" in finding.detail
    assert not (nerfacc / "built").exists()


def test_nerfacc_built_before_is_ok(nerfacc):
    give_nvcc(nerfacc)
    (nerfacc / "built" / "nerfacc_cuda").mkdir(parents=True)
    (nerfacc / "built" / "nerfacc_cuda" / "nerfacc_cuda.so").touch()
    assert doctor.probe_nerfacc("nerfacc").status == "ok"


def test_nerfacc_with_a_compiled_wheel_is_ok(nerfacc):
    (nerfacc / "nerfacc" / "csrc.cpython-312-x86_64-linux-gnu.so").touch()
    assert doctor.probe_nerfacc("nerfacc").status == "ok"


def test_the_folder_of_built_extensions_is_torchs(monkeypatch, tmp_path):
    from torch.utils import cpp_extension

    monkeypatch.delenv("TORCH_EXTENSIONS_DIR", raising=False)
    monkeypatch.setattr(cpp_extension, "get_default_build_root", lambda: str(tmp_path))
    expected = cpp_extension._get_build_directory("nerfacc_cuda", verbose=False)
    assert str(doctor._torch_extensions() / "nerfacc_cuda") == expected


def test_lpips_weights_are_looked_for_in_torchs_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert doctor.probe_lpips("LPIPS weights").status == "missing"
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / doctor.LPIPS_WEIGHTS).touch()
    assert doctor.probe_lpips("LPIPS weights").status == "ok"


def test_the_weights_name_is_torchvisions():
    from torchvision.models import AlexNet_Weights

    assert AlexNet_Weights.IMAGENET1K_V1.url.endswith(f"/{doctor.LPIPS_WEIGHTS}")


@pytest.mark.parametrize(("flags", "status"), [("fpu amx_bf16 amx_tile", "ok"), ("fpu avx2", "missing")])
def test_bf16_is_read_from_the_cpus_flags(monkeypatch, tmp_path, flags, status):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")
    monkeypatch.setattr(doctor, "_CPUINFO", tmp_path / "cpuinfo")
    assert doctor.probe_cpu("CPU bf16").status == status


def test_a_missing_library_names_its_package(monkeypatch, capsys):
    def no_module(name):
        if name == "open3d":
            raise OSError("libGL.so.1: cannot open shared object file")
        return builtins

    def no_library(name):
        if name == "libGL.so.1":
            raise OSError(name)

    monkeypatch.setattr(doctor.importlib, "import_module", no_module)
    monkeypatch.setattr(doctor.ctypes, "CDLL", no_library)
    finding = doctor.probe_libraries("system libraries")
    assert finding.status == "missing"
    assert "open3d (ns-export and point clouds): OSError: libGL.so.1" in finding.detail
    assert "apt-get install libgl1 (" in finding.advice
    doctor.print_missing_libraries()
    assert "apt-get install libgl1 (" in capsys.readouterr().out


def test_a_library_that_every_command_needs_is_broken(monkeypatch):
    monkeypatch.setattr(doctor.importlib, "import_module", lambda name: raises(ImportError("libGL.so.1"))(name))
    assert doctor.probe_libraries("system libraries").status == "broken"


def test_complete_libraries_are_not_mentioned(monkeypatch, capsys):
    monkeypatch.setattr(doctor.importlib, "import_module", lambda name: builtins)
    doctor.print_missing_libraries()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("probe", doctor.PROBES, ids=lambda probe: probe.name)
def test_the_real_probes_answer(probe):
    report = doctor.examine([probe])
    finding = report.findings[0]
    assert finding.name == probe.name
    assert finding.detail
    assert finding.status == "ok" or not probe.required, finding.detail


def test_the_options_for_tinycudann_exist():
    from nerfstudio.configs.method_configs import all_methods

    def has(config: object, option: str) -> bool:
        for name in option.split("."):
            config = getattr(config, name, None)
        return config is not None

    findings = [Finding(name, "ok", "") for name in ("torch", "tinycudann", "CUDA devices")]
    named = doctor.choose_backends(findings)["field"]
    options = re.findall(r"--(pipeline\.[\w.]+) tcnn \(([\w -]+)\)", named)
    methods = {
        "vanilla-nerf-custom": ["vanilla-nerf-custom"],
        "the hash methods": ["nerf-hash-custom", "neus-hash-custom"],
    }
    assert [who for _, who in options] == list(methods)
    assert all(has(all_methods[method], option) for option, who in options for method in methods[who])
