"""scripts/setup.sh leaves environments alone that are not its checkout's; nothing is downloaded here."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def checkout(folder: Path) -> Path:
    """With the script, and its environment a link to another folder."""
    (folder / "here/scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/setup.sh", folder / "here/scripts")
    shutil.copy(ROOT / "pyproject.toml", folder / "here")
    other = folder / "there/.venv"
    other.mkdir(parents=True)
    (folder / "here/.venv").symlink_to(other)
    return other


def set_up(folder: Path) -> subprocess.CompletedProcess[str]:
    # No interpreter is found: what gets so far makes nothing.
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(folder / "none")}
    return subprocess.run(["bash", folder / "here/scripts/setup.sh"], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("stamp", ["1 2 pyproject.toml\n/elsewhere\n[dev]\n", None])
def test_an_environment_behind_a_link_is_not_emptied(tmp_path: Path, stamp: str | None):
    other = checkout(tmp_path)
    (other / "of another").touch()
    if stamp is not None:
        (other / "installed").write_text(stamp)
    before = sorted(other.iterdir())
    run = set_up(tmp_path)
    assert run.returncode == 1
    assert run.stderr.splitlines() == [
        f"[setup] error: {tmp_path}/here/.venv is a link to {other}, which was not made for this checkout: remove the link"
    ]
    assert sorted(other.iterdir()) == before


def test_a_link_to_an_empty_folder_is_used(tmp_path: Path):
    checkout(tmp_path)
    assert "is no Python" in set_up(tmp_path).stderr
