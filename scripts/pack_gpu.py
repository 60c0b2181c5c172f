#!/usr/bin/env python3
"""Packs what a machine with CUDA and torch, but no network, lacks: in folders that are small enough to be carried one by one.

    python scripts/pack_gpu.py pack packs [3.12]             (here, where pip reaches an index; Python's version there)
    python scripts/pack_gpu.py unpack /tmp/site packs/*      (there; then PYTHONPATH=/tmp/site)

Warp's library, by far the largest, is left without its compiler for the CPU, compressed, and cut.
"""

from __future__ import annotations

import lzma
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

# Nothing else is imported here: where it unpacks, there is nothing yet.

MOST_BYTES = 56 << 20
"""Of a folder."""
PARTS = "part"
_WANTED = ("nerf-plugins", "nerfstudio", "pytest", "hypothesis", "beartype")
# What a CUDA image of torch has; a second one would only be in the way.
_ALREADY_THERE = ("torch", "torchvision", "nvidia", "triton", "cuda", "numpy", "setuptools", "pip", "nerf-plugins")
# Only other viewers, exporters, videos and kinds of data need these.
_NOT_NEEDED = ("open3d", "pymeshlab", "jupyter", "notebook", "ipykernel", "ray", "imageio-ffmpeg")
_NOT_OF_WARP = ("warp/tests/", "warp/examples/", "warp/bin/warp-clang.so")


def needed() -> dict[str, str]:
    """Name -> version of what is installed here because this package, or its tests, need it; without what need not be carried."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    unseen = list(_WANTED)
    while unseen:
        name = canonicalize_name(unseen.pop())
        skipped = name.startswith((*_ALREADY_THERE, *_NOT_NEEDED)) and name not in _WANTED
        if name in found or skipped:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # an extra's, which is not installed here either
        found[name] = distribution.version
        requirements = [Requirement(line) for line in distribution.requires or ()]
        unseen += [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    found.pop("nerf-plugins", None)  # its sources are there
    return found


def download(wheels: Path, python: str | None) -> None:
    """The wheels of all that is needed, for a version of Python; says what has none."""
    target: list[str] = []
    if python is not None:
        target = ["--python-version", python, "--implementation", "cp", "--platform", "any"]
        target += [word for glibc in range(17, 40) for word in ("--platform", f"manylinux_2_{glibc}_x86_64")]
        target += [word for name in ("manylinux2014", "manylinux1") for word in ("--platform", f"{name}_x86_64")]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(wheels)]
    for name, version in needed().items():
        if subprocess.run([*command, *target, f"{name}=={version}"], capture_output=True).returncode != 0:
            if python is None:
                write_installed(name, wheels)
            else:
                print(
                    f"no wheel of {name} {version} for Python {python}: its modules cannot be used there",
                    file=sys.stderr,
                )
                write_stand_in(name, wheels)


def write_installed(name: str, folder: Path) -> None:
    """A wheel of the files that are installed here, for the same Python: of what pip had to build."""
    package = metadata.distribution(name)
    with zipfile.ZipFile(folder / f"{name}-{package.version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in package.files or ():
            if ".." not in file.parts and file.suffix != ".pyc" and (path := Path(str(file.locate()))).is_file():
                wheel.write(path, str(file))


def write_stand_in(name: str, folder: Path) -> None:
    """A wheel of modules that can be imported, as nerfstudio does with all, and say what they lack as soon as they are used."""
    package = metadata.distribution(name)
    modules = {file.parts[0].partition(".")[0] for file in package.files or () if ".dist-info" not in file.parts[0]}
    text = f"""def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError("{name} was not packed: it has no wheel for this Python")
"""
    with zipfile.ZipFile(folder / f"{name}-{package.version}-py3-none-any.whl", "w") as wheel:
        for module in modules - {"..", "__pycache__"}:
            wheel.writestr(f"{module}.py", text)


def pack(folder: Path, python: str | None) -> None:
    """Downloads the wheels of this package's needs, and lays them out in folders of at most ``MOST_BYTES``."""
    if folder.exists():
        raise SystemExit(f"{folder} exists: give a new folder")
    with tempfile.TemporaryDirectory() as name:
        wheels = Path(name)
        download(wheels, python)
        for wheel in wheels.glob("warp_lang*.whl"):
            _cut(wheel)
        write_entry_points(wheels)
        files = sorted(wheels.iterdir(), key=lambda file: -file.stat().st_size)
        _spread(files, folder)


def write_entry_points(folder: Path) -> None:
    """A wheel of this package's metadata alone: its sources are carried otherwise, and by its entry points nerfstudio finds the methods."""
    package = metadata.distribution("nerf-plugins")
    with zipfile.ZipFile(folder / f"nerf_plugins-{package.version}-py3-none-any.whl", "w") as wheel:
        texts = {
            "METADATA": package.read_text("METADATA") or package.read_text("PKG-INFO"),
            "entry_points.txt": package.read_text("entry_points.txt"),
        }
        for name, text in texts.items():
            if text is not None:
                wheel.writestr(f"nerf_plugins-{package.version}.dist-info/{name}", text)


def _cut(wheel: Path) -> None:
    """A wheel without what CUDA does not need, in compressed parts."""
    slim = wheel.with_suffix(".slim")
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(slim, "w", zipfile.ZIP_STORED) as target:
        for item in source.infolist():
            if not item.filename.startswith(_NOT_OF_WARP):
                target.writestr(item.filename, source.read(item))
    content = lzma.compress(slim.read_bytes(), preset=6)
    for i, start in enumerate(range(0, len(content), MOST_BYTES // 2)):
        wheel.with_name(f"{wheel.name}.xz.{PARTS}{i:02d}").write_bytes(content[start : start + MOST_BYTES // 2])
    slim.unlink()
    wheel.unlink()


def _spread(files: list[Path], folder: Path) -> None:
    """Each file, the largest first, into the first folder with room."""
    sizes: list[int] = []
    for file in files:
        size = file.stat().st_size
        if size > MOST_BYTES:
            raise SystemExit(f"{file.name} has {size >> 20} MiB, more than a folder may have: leave it out or cut it")
        i = next((i for i, used in enumerate(sizes) if used + size <= MOST_BYTES), len(sizes))
        if i == len(sizes):
            sizes.append(0)
        sizes[i] += size
        (folder / f"pack_{i}").mkdir(parents=True, exist_ok=True)
        shutil.move(file, folder / f"pack_{i}" / file.name)
    print(*(f"pack_{i}: {size >> 20} MiB" for i, size in enumerate(sizes)), sep="\n")


def unpack(site: Path, packs: list[Path]) -> None:
    """Unpacks all wheels into a folder for PYTHONPATH; nothing is installed elsewhere, and again does no harm."""
    files = sorted(file for pack_folder in packs for file in pack_folder.iterdir())
    parts = [file for file in files if file.name.rpartition(".")[2].startswith(PARTS)]
    site.mkdir(parents=True, exist_ok=True)
    for wheel in (file for file in files if file.suffix == ".whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    if not parts:
        raise SystemExit("the packs lack Warp's parts: give all of them")
    with tempfile.TemporaryFile() as whole:
        whole.write(lzma.decompress(b"".join(part.read_bytes() for part in sorted(parts, key=lambda part: part.name))))
        with zipfile.ZipFile(whole) as archive:
            archive.extractall(site)


def main() -> None:
    """Packs or unpacks."""
    if sys.argv[1:2] == ["pack"] and len(sys.argv) in (3, 4):
        pack(Path(sys.argv[2]), sys.argv[3] if len(sys.argv) == 4 else None)
    elif sys.argv[1:2] == ["unpack"] and len(sys.argv) > 3:
        unpack(Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
