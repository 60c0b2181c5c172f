"""The system's libraries, faked."""

import builtins

from nerf_plugins.doctor import libraries


def test_a_missing_library_names_its_package(monkeypatch, capsys):
    def no_module(name):
        if name == "open3d":
            raise OSError("libGL.so.1: cannot open shared object file")
        return builtins

    def no_library(name):
        if name == "libGL.so.1":
            raise OSError(name)

    monkeypatch.setattr(libraries.importlib, "import_module", no_module)
    monkeypatch.setattr(libraries.ctypes, "CDLL", no_library)
    finding = libraries.probe_libraries("system libraries")
    assert finding.status == "missing"
    assert "open3d (ns-export and point clouds): OSError: libGL.so.1" in finding.detail
    assert "apt-get install libgl1 (" in finding.advice
    libraries.print_missing_libraries()
    assert "apt-get install libgl1 (" in capsys.readouterr().out


def test_a_library_that_every_command_needs_is_broken(monkeypatch):
    def no_module(name):
        raise ImportError("libGL.so.1")

    monkeypatch.setattr(libraries.importlib, "import_module", no_module)
    assert libraries.probe_libraries("system libraries").status == "broken"


def test_complete_libraries_are_not_mentioned(monkeypatch, capsys):
    monkeypatch.setattr(libraries.importlib, "import_module", lambda name: builtins)
    libraries.print_missing_libraries()
    assert capsys.readouterr().out == ""
