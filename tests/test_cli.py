"""The nerf-plugins command."""

import importlib.metadata
import inspect
import json
import os
import subprocess
import sys

import pytest

import nerf_plugins
from nerf_plugins import cli
from nerf_plugins.doctor import command as doctor
from nerf_plugins.doctor.findings import Finding, Probe
from nerf_plugins.doctor.report import examine
from nerf_plugins.errors import InputError


def run(*args):
    with pytest.raises(SystemExit) as stopped:
        cli.main(args)
    return stopped.value.code


def test_help_names_the_subcommands_and_says_what_they_do(capsys):
    assert run("--help") == 0
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name, command in cli.COMMANDS.items():
        text = command.help or inspect.getdoc(command.options)
        assert f"• {name} {text.split()[0]}" in out


def test_a_subcommand_is_needed(capsys):
    assert run() == 2
    assert run("no-such-thing") == 2


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_room_has_its_command(name):
    """`run(options) -> exit code`, and light options."""
    room = cli.COMMANDS[name].room
    signature = inspect.signature(importlib.import_module(f"nerf_plugins.{room}.command").run)
    assert (list(signature.parameters), signature.return_annotation) in ((["options"], int), (["options"], "int"))
    importlib.import_module(f"nerf_plugins.{'captures' if room == 'process_data' else room}.options")


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("broken", 1)])
def test_the_doctors_exit_code_says_whether_the_default_method_can_run(monkeypatch, capsys, status, code):
    probe = Probe("Warp", lambda name: Finding(name, status, "faked"), required=True)
    report = examine([probe])
    monkeypatch.setattr(doctor, "examine", lambda: report)
    assert run("doctor") == code
    assert "faked" in capsys.readouterr().out
    assert run("doctor", "--json") == code
    assert json.loads(capsys.readouterr().out)["can_run"] is (code == 0)


def test_what_the_user_can_mend_is_one_line(monkeypatch, capsys):
    def fails(options):
        raise InputError("no pictures in x: give another --data")

    monkeypatch.setattr(doctor, "run", fails)
    assert run("doctor") == 1
    assert capsys.readouterr().err == "error: no pictures in x: give another --data\n"


def test_an_interrupt_is_one_line(monkeypatch, capsys):
    def waits(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", waits)
    assert run("doctor") == 130
    assert capsys.readouterr() == ("", "stopped\n")


@pytest.mark.parametrize("command", [["eval-mesh", "--help"], ["fit-image", "--help"], ["--help"]], ids=" ".join)
def test_a_reader_that_has_seen_enough_is_no_error(command):
    """Whether the text is longer than what is kept before it is written or not."""
    command = [sys.executable, "-m", "nerf_plugins.cli", *command]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=buffered)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert "Error" not in process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141


def test_the_import_is_cheap():
    heavy = ("torch", "warp", "nerfstudio", "numpy", "mediapy")
    modules = "nerf_plugins.cli, nerf_plugins.doctor.command, nerf_plugins.files.ffmpeg"
    code = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_version_is_that_of_the_installation():
    assert nerf_plugins.__version__ == importlib.metadata.version("nerf-plugins")
    assert not hasattr(nerf_plugins, "no_such_thing")
