"""The report of faked probes, and of the real ones."""

import json
import re
import sys

import pytest

from nerf_plugins.doctor.findings import Finding, Probe
from nerf_plugins.doctor.methods import installed
from nerf_plugins.doctor.probes import PROBES
from nerf_plugins.doctor.report import choose_backends, examine, show

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
    required = {probe.name for probe in PROBES if probe.required}
    return [Probe(name, other.get(name, fixed("ok", "there")), required=name in required) for name in HEALTHY]


def test_a_healthy_machine_runs_everything_on_cuda():
    report = examine(healthy())
    assert report.can_run
    assert [finding.status for finding in report.findings] == ["ok"] * len(HEALTHY)
    assert report.backends["ray marching"] == "Warp on cuda:0"
    assert report.backends["field"] == "torch on cuda:0"
    assert report.backends["video"] == "ffmpeg there"


def test_without_cuda_everything_runs_on_the_cpu():
    report = examine(healthy(CUDA_devices=fixed("missing", "none")))
    assert report.can_run
    assert report.backends["ray marching"] == "Warp on cpu"
    assert report.backends["field"] == "torch on cpu"


def test_a_probe_that_raises_is_broken_with_its_first_line_and_the_advice():
    probe = Probe("Warp", raises(OSError("no driver\nsecond line")), required=True, advice="reinstall it")
    report = examine([probe])
    assert report.findings == (Finding("Warp", "broken", "OSError: no driver", "reinstall it"),)
    assert not report.can_run
    assert report.backends["ray marching"].startswith("cannot run")


@pytest.mark.parametrize("error", [SystemExit(3), RuntimeError(), ImportError("libGL.so.1: cannot open")])
def test_no_probe_can_crash_the_doctor(error):
    report = examine(healthy(LPIPS_weights=raises(error)))
    assert report.findings[-1].status == "broken"
    assert report.can_run


def test_what_a_probe_prints_is_kept_out_of_the_report(capsys):
    def noisy(name):
        print("noise")
        print("noise", file=sys.stderr)
        return Finding(name, "ok", "fine")

    show(examine([Probe("noisy", noisy)]), as_json=True)
    captured = capsys.readouterr()
    assert json.loads(captured.out)["findings"][0]["detail"] == "fine"
    assert captured.err == ""


def test_the_json_holds_the_whole_report(capsys):
    report = examine(healthy(LPIPS_weights=fixed("missing", "not there", "copy them")))
    show(report, as_json=True)
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
    show(examine(healthy(LPIPS_weights=finding)))
    out = capsys.readouterr().out
    assert "error [Errno 2] in [bold]" in out
    assert "LPIPS weights: look at [this]" in out


def test_the_last_lines_say_what_can_be_trained_and_how(capsys):
    show(examine(healthy()))
    methods, command = capsys.readouterr().out.splitlines()[-2:]
    assert methods.endswith(" can be trained here.")
    assert all(method in methods for method in installed("methods"))
    assert command.endswith(": ns-train nerf-hash-custom demo-data")


def test_the_last_line_says_what_stands_in_the_way(capsys):
    report = examine(healthy(Warp=fixed("broken"), LPIPS_weights=fixed("missing")))
    assert report.blocked_by == ("Warp",)
    show(report)
    assert capsys.readouterr().out.splitlines()[-1] == "No method can be trained before this is mended: Warp."


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_the_real_probes_answer(probe):
    report = examine([probe])
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
    named = choose_backends(findings)["field"]
    options = re.findall(r"--(pipeline\.[\w.]+) tcnn \(([\w -]+)\)", named)
    methods = {
        "vanilla-nerf-custom": ["vanilla-nerf-custom"],
        "the hash methods": ["nerf-hash-custom", "neus-hash-custom"],
    }
    assert [who for _, who in options] == list(methods)
    assert all(has(all_methods[method], option) for option, who in options for method in methods[who])
