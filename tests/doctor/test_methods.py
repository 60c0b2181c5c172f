"""What is installed, and what nerfstudio finds of it."""

import importlib
import importlib.metadata

import pytest

from nerf_plugins.doctor import methods
from nerf_plugins.doctor.methods import GROUPS, installed, probe_nerfstudio
from nerf_plugins.doctor.report import FIRST_COMMAND


def test_what_is_installed_is_what_the_package_declares():
    declared = importlib.metadata.distribution("nerf-plugins").entry_points
    for what, group in GROUPS.items():
        assert installed(what) == sorted(point.name for point in declared.select(group=group)) != []


def test_the_first_command_names_what_is_installed():
    _, method, dataparser = FIRST_COMMAND.split()
    assert method in installed("methods")
    assert dataparser in installed("dataparsers")


def test_other_packages_methods_are_not_ours(monkeypatch):
    points = [
        importlib.metadata.EntryPoint("theirs", "nerf_plugins_of_others.methods:theirs", "g"),
        importlib.metadata.EntryPoint("ours", "nerf_plugins.methods:ours", "g"),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    assert installed("methods") == ["ours"]


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(methods, "installed", lambda what: [])
    finding = probe_nerfstudio("nerfstudio")
    assert (finding.status, finding.advice) == ("broken", "install the package into this environment: pip install -e .")


@pytest.mark.parametrize(
    ("module", "names", "left_out"),
    [("method_configs", "all_methods", "neus-custom"), ("dataparser_configs", "all_dataparsers", "llff-data")],
)
def test_what_nerfstudio_does_not_find_is_named(monkeypatch, module, names, left_out):
    known = importlib.import_module(f"nerfstudio.configs.{module}")
    rest = {name: config for name, config in getattr(known, names).items() if name != left_out}
    monkeypatch.setattr(known, names, rest)
    finding = probe_nerfstudio("nerfstudio")
    assert finding.status == "broken"
    assert finding.detail.endswith(f"does not know {left_out}")
