"""The package as it is released: built, installed elsewhere, and used from there rather than from this checkout."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
METHODS = {
    "dnerf-custom",
    "dnerf-hash-custom",
    "k-planes-custom",
    "moving-nerf-custom",
    "nerf-hash-custom",
    "neus-custom",
    "neus-hash-custom",
    "tensorf-custom",
    "tnerf-hash-custom",
    "vanilla-nerf-custom",
}
DATAPARSERS = {"demo-data", "llff-data", "neus-data", "timed-data"}


def not_of_a_clone(folder: str, names: list[str]) -> list[str]:
    """What of a folder lies in a checkout that was worked in, but in no fresh one."""
    made = {"build", "data", "dist", "outputs", "renders"} if Path(folder) == ROOT else set()
    hidden = {name for name in names if name.startswith(".")} if Path(folder) == ROOT else set()
    return [name for name in names if name in {"__pycache__", *made, *hidden} or name.endswith(".egg-info")]


def run(*command: object, **options) -> subprocess.CompletedProcess:
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, **options)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it, both without a network."""
    folder = tmp_path_factory.mktemp("release")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=not_of_a_clone)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", source)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel was installed to."""
    folder = tmp_path_factory.mktemp("installed")
    arguments = ["--no-deps", "--no-index", "--disable-pip-version-check", "--no-warn-script-location"]
    run(sys.executable, "-m", "pip", "install", *arguments, "--target", folder, wheel)
    return folder


def run_installed(installed: Path, folder: Path, *command: object) -> str:
    """What a command of this environment prints, in a folder, with the wheel in place of the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    return run(*command, cwd=folder, env=environment).stdout


def files_of_package() -> set[str]:
    paths = (ROOT / "nerf_plugins").rglob("*")
    return {path.relative_to(ROOT).as_posix() for path in paths if path.is_file() and "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_and_no_more(wheel: Path):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == files_of_package()
    assert "nerf_plugins/py.typed" in names


def test_the_sdist_holds_what_a_packager_needs(built: Path):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert files_of_package() <= names
    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml"}
    assert wanted <= names
    for folder in ("configs", "docs", "scripts", "tests"):
        there = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert {name for name in there if "__pycache__" not in name} <= names
    assert not [name for name in names if "__pycache__" in name]


FOUND = """
import json
from importlib.metadata import distribution

package = distribution("nerf-plugins")
found = {}
for point in package.entry_points:
    point.load()
    found.setdefault(point.group, []).append(point.name)
print(json.dumps([str(package.locate_file("")), found]))
"""


def test_all_entry_points_are_found_and_load(installed: Path, tmp_path: Path):
    place, found = json.loads(run_installed(installed, tmp_path, sys.executable, "-c", FOUND).splitlines()[-1])
    assert Path(place).resolve() == installed.resolve()
    assert set(found["nerfstudio.method_configs"]) >= METHODS
    assert set(found["nerfstudio.dataparser_configs"]) >= DATAPARSERS
    assert found["console_scripts"] == ["nerf-plugins"]


def test_the_doctor_finds_this_machine_fit(installed: Path, tmp_path: Path):
    """It asks whether nerfstudio finds the methods, and exits with 1 where they cannot be trained."""
    report = json.loads(run_installed(installed, tmp_path, installed / "bin" / "nerf-plugins", "doctor", "--json"))
    assert report["can_run"]


TRAIN = """
import sys
from nerfstudio.scripts.train import entrypoint

entrypoint()
places = {module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "nerf_plugins"}
print("FROM", *sorted(places), sep="\\n")
"""


def test_a_training_on_the_embedded_scene(installed: Path, tmp_path: Path):
    options = ["--vis=tensorboard", "--max-num-iterations=4", "--timestamp=t", "--experiment-name=e"]
    data = [
        "demo-data",
        f"--data={tmp_path / 'demo'}",
        "--resolution=16",
        "--num-train=4",
        "--num-val=1",
        "--num-test=1",
    ]
    (tmp_path / "demo").mkdir()
    command = [sys.executable, "-c", TRAIN, "nerf-hash-custom", *options, *data]
    output = run_installed(installed, tmp_path, *command)
    places = [Path(line) for line in output.split("FROM\n", 1)[1].split()]
    assert len(places) > 20
    assert [path for path in places if installed not in path.parents] == []
    assert list(tmp_path.glob("outputs/e/nerf-hash-custom/t/nerfstudio_models/step-*3.ckpt"))
