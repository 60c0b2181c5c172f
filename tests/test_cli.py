"""The nerf-plugins command."""

import json
import subprocess
import sys

import pytest

from nerf_plugins import cli, doctor
from nerf_plugins.errors import InputError


def run(*args):
    with pytest.raises(SystemExit) as stopped:
        cli.main(args)
    return stopped.value.code


def test_help_names_the_subcommands(capsys):
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli.COMMANDS)


def test_a_subcommand_is_needed(capsys):
    assert run() == 2
    assert run("no-such-thing") == 2


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("broken", 1)])
def test_the_doctors_exit_code_says_whether_the_default_method_can_run(monkeypatch, capsys, status, code):
    probe = doctor.Probe("Warp", lambda name: doctor.Finding(name, status, "faked"), required=True)
    report = doctor.examine([probe])
    monkeypatch.setattr(doctor, "examine", lambda: report)
    assert run("doctor") == code
    assert "faked" in capsys.readouterr().out
    assert run("doctor", "--json") == code
    assert json.loads(capsys.readouterr().out)["can_run"] is (code == 0)


def test_what_the_user_can_mend_is_one_line(monkeypatch, capsys):
    def fails() -> int:
        """Fail."""
        raise InputError("no pictures in x: give another --data")

    monkeypatch.setitem(cli.COMMANDS, "fails", fails)
    assert run("fails") == 1
    assert capsys.readouterr().err == "error: no pictures in x: give another --data\n"


def test_an_interrupt_is_one_line(monkeypatch, capsys):
    def waits() -> int:
        """Wait."""
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "waits", waits)
    assert run("waits") == 130
    assert capsys.readouterr() == ("", "stopped\n")


def test_the_import_is_cheap():
    heavy = ("torch", "warp", "nerfstudio", "numpy", "mediapy")
    modules = "nerf_plugins.cli, nerf_plugins.doctor, nerf_plugins.video"
    code = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
