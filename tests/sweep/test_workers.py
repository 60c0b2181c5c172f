"""The processes of a sweep; those that really train are in test_command.py."""

import sys
from pathlib import Path

import pytest

from nerf_plugins.errors import InputError
from nerf_plugins.sweep.workers import find_ns_train


def test_ns_train_is_looked_for_beside_python_and_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other = tmp_path / "bin" / "ns-train"
    other.parent.mkdir()
    other.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert find_ns_train() == str(Path(sys.executable).with_name("ns-train"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_ns_train() == str(other)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"ns-train is neither in .* nor on the PATH"):
        find_ns_train()
