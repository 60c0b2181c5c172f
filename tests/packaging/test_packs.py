"""Packs for a machine without network are unpacked by a Python that has nothing."""

import json
import lzma
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import pack_gpu  # noqa: E402


@pytest.fixture
def packs(tmp_path) -> list[Path]:
    """Two of them: a wheel, Warp in two parts, and this package's entry points."""
    folders = [tmp_path / f"pack_{i}" for i in range(2)]
    for folder in folders:
        folder.mkdir()
    pack_gpu.write_entry_points(folders[0])
    with zipfile.ZipFile(folders[1] / "thing-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("thing.py", "value = 7")
    with zipfile.ZipFile(tmp_path / "warp.whl", "w") as wheel:
        wheel.writestr("warp/__init__.py", "")
    content = lzma.compress((tmp_path / "warp.whl").read_bytes())
    for i, part in enumerate((content[:50], content[50:])):
        (folders[1 - i] / f"warp_lang.whl.xz.part{i:02d}").write_bytes(part)
    return folders


def bare(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python without any package."""
    return subprocess.run([sys.executable, "-I", "-S", *arguments], capture_output=True, text=True)


def test_a_bare_python_unpacks_and_finds_the_methods(packs, tmp_path):
    site = tmp_path / "site"
    done = bare(str(ROOT / "scripts" / "pack_gpu.py"), "unpack", str(site), *map(str, packs))
    assert (done.returncode, done.stderr) == (0, "")
    code = f"""
import sys, json
sys.path.insert(0, {str(site)!r})
import thing, warp
from importlib.metadata import distribution
print(json.dumps([point.name for point in distribution("nerf-plugins").entry_points]))
"""
    found = bare("-c", code)
    assert {"vanilla-nerf-custom", "neus-custom", "demo-data", "nerf-plugins"} <= set(json.loads(found.stdout))


def test_missing_parts_are_one_line(packs, tmp_path):
    for folder in packs:
        for part in folder.glob("*.part*"):
            part.unlink()
    done = bare(str(ROOT / "scripts" / "pack_gpu.py"), "unpack", str(tmp_path / "site"), *map(str, packs))
    assert done.returncode == 1
    assert done.stderr == "the packs lack Warp's parts: give all of them\n"


def test_what_pip_had_to_build_is_packed_as_it_is_here(tmp_path):
    pack_gpu.write_installed("fpsample", tmp_path)
    (wheel,) = tmp_path.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
        assert not any(name.endswith(".pyc") for name in archive.namelist())
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import fpsample; print(fpsample.__file__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


def test_a_stand_in_is_imported_and_cannot_be_used(tmp_path):
    pack_gpu.write_stand_in("fpsample", tmp_path)
    (wheel,) = tmp_path.iterdir()
    start = f"import sys; sys.path.insert(0, {str(wheel)!r}); import fpsample; "
    assert bare("-c", start).returncode == 0
    assert "fpsample was not packed" in bare("-c", start + "fpsample.bucket_fps_kdline_sampling").stderr
