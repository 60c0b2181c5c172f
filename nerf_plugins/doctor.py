"""What this machine has, what each part of the plugin will run on, and what to do about what is missing.

A probe is a function from its name to a :class:`Finding`. A probe that raises is a finding too: ``broken``. Nothing
heavy is imported before a probe needs it.
"""

import contextlib
import ctypes
import importlib
import importlib.metadata
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Status = Literal["ok", "missing", "optional", "broken"]
"""optional: not there, or of no use here, and nothing that our methods need."""

METHODS = ("nerf-hash-custom", "vanilla-nerf-custom", "neus-hash-custom", "neus-custom")
"""The methods; all need the same of a machine."""
FIRST_COMMAND = "ns-train nerf-hash-custom demo-data"
"""The quickest training; needs no data."""
LPIPS_WEIGHTS = "alexnet-owt-7be5be79.pth"
_CPUINFO = Path("/proc/cpuinfo")

# Modules with libraries of the system below them, and who imports them.
_MODULES_WITH_LIBRARIES = {
    "cv2": "every ns-* command",
    "open3d": "ns-export and point clouds",
    "pymeshlab": "ns-export's meshes",
}
_APT_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libgomp.so.1": "libgomp1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libidn2.so.0": "libidn2-0",
    "libudev.so.1": "libudev1",
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libxcb.so.1": "libxcb1",
}


@dataclass(frozen=True)
class Finding:
    """What a probe found: one row of the table."""

    name: str
    status: Status
    detail: str
    advice: str = ""


@dataclass(frozen=True)
class Probe:
    """A check by name. ``advice`` is given when it raises; without a ``required`` one no method can be trained."""

    name: str
    run: Callable[[str], Finding]
    required: bool = False
    advice: str = ""


@dataclass(frozen=True)
class Report:
    """All findings, the backend of each part, whether our methods can be trained, and else the required findings that are not ok."""

    findings: tuple[Finding, ...]
    backends: dict[str, str]
    can_run: bool
    blocked_by: tuple[str, ...]


def probe_python(name: str) -> Finding:
    """The interpreter's version."""
    return Finding(name, "ok", f"{'.'.join(map(str, sys.version_info[:3]))}, {sys.executable}")


def probe_torch(name: str) -> Finding:
    """Torch's version and the CUDA that it was built for."""
    import torch

    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    return Finding(name, "ok", f"{torch.__version__}, {build}, {torch.get_num_threads()} CPU threads")


def probe_cuda(name: str) -> Finding:
    """The CUDA devices that torch can use, and the driver."""
    import torch

    driver = _nvidia_driver()
    if torch.cuda.is_available():
        devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        named = [f"cuda:{i} {device.name}, {device.total_memory / 2**30:.0f} GiB" for i, device in enumerate(devices)]
        return Finding(name, "ok", "; ".join([*named, f"driver {driver or 'unknown'}"]))
    if driver is None:
        return Finding(name, "missing", "none", "nothing to do: the CPU is used, which is slower")
    if torch.version.cuda is None:
        advice = "install a torch that is built for CUDA"
    else:
        advice = f"update the driver to one for CUDA {torch.version.cuda}, or install a torch for an older CUDA"
    return Finding(name, "broken", f"driver {driver} is there, but torch finds no device", advice)


def probe_warp(name: str) -> Finding:
    """Warp: runs one of the package's kernels on the devices that the method may use, which compiles it there."""
    import torch
    import warp as wp

    wp.init()
    detail = f"{wp.config.version}, devices {', '.join(str(device) for device in wp.get_devices())}"
    detail += f", cache {wp.config.kernel_cache_dir}"
    if not wp.is_cpu_available():
        return Finding(name, "broken", f"{detail}; no compiler for the CPU", _REINSTALL_WARP)
    if torch.cuda.is_available() and not wp.is_cuda_available():
        return Finding(name, "broken", f"{detail}; torch has CUDA, Warp has not", "update the NVIDIA driver")

    from nerf_plugins.ops import composite

    for device in ["cpu", "cuda:0"] if torch.cuda.is_available() else ["cpu"]:
        one = torch.ones(1, device=device)
        packed_info = torch.tensor([[0, 1]], dtype=torch.int32, device=device)
        accumulation = composite(one, one.expand(1, 3).contiguous(), 0 * one, one, packed_info).accumulation
        if abs(accumulation.item() - 0.632121) > 1e-4:  # 1 - exp(-1)
            return Finding(name, "broken", f"{detail}; a kernel gives wrong numbers on {device}", _REINSTALL_WARP)
    return Finding(name, "ok", detail)


def probe_nerfstudio(name: str) -> Finding:
    """Nerfstudio as its commands start it, and whether it finds our methods."""
    from nerfstudio.configs.method_configs import all_methods

    version = importlib.metadata.version("nerfstudio")
    unknown = [method for method in METHODS if method not in all_methods]
    if unknown:
        advice = "install the package into this environment: pip install -e ."
        return Finding(name, "broken", f"{version}, does not know {', '.join(unknown)}", advice)
    return Finding(name, "ok", f"{version}, knows our {len(METHODS)} methods")


def probe_libraries(name: str) -> Finding:
    """The libraries of the system that nerfstudio's dependencies load."""
    broken = missing_libraries()
    if not broken:
        return Finding(name, "ok", f"{', '.join(_MODULES_WITH_LIBRARIES)} can be imported")
    status: Status = "broken" if "cv2" in broken else "missing"
    detail = "; ".join(f"{module} ({_MODULES_WITH_LIBRARIES[module]}): {error}" for module, error in broken.items())
    return Finding(name, status, detail, _library_advice())


def probe_tinycudann(name: str) -> Finding:
    """tiny-cuda-nn's torch bindings, which are optional."""
    if importlib.util.find_spec("tinycudann") is None:
        return Finding(name, "optional", "not installed; our methods do not need it")
    import tinycudann  # pyright: ignore[reportMissingImports]

    return Finding(name, "ok", getattr(tinycudann, "__version__", "installed"))


def probe_nerfacc(name: str) -> Finding:
    """Nerfacc, which our methods do not need. It is not imported: an import of its CUDA part may start a long build."""
    spec = importlib.util.find_spec("nerfacc")
    if spec is None or not spec.submodule_search_locations:
        return Finding(name, "optional", "not installed; our methods do not need it")
    import torch

    version = importlib.metadata.version("nerfacc")
    if not torch.cuda.is_available():
        return Finding(name, "optional", f"{version}, of use only with CUDA; our methods do not need it")
    folder = Path(next(iter(spec.submodule_search_locations)))
    if any(folder.glob("csrc*.so")) or any(folder.glob("csrc*.pyd")):
        return Finding(name, "ok", f"{version}, compiled CUDA extension in the wheel")
    if shutil.which("nvcc") is None:
        advice = "nothing to do for our methods; nerfstudio's own that need it need the CUDA toolkit (nvcc)"
        return Finding(name, "optional", f"{version}, its CUDA extension is not compiled and there is no nvcc", advice)
    if (_torch_extensions() / "nerfacc_cuda" / "nerfacc_cuda.so").exists():
        return Finding(name, "ok", f"{version}, CUDA extension built earlier")
    advice = "nothing to do: nvcc is there, so its first use builds it, which takes minutes"
    return Finding(name, "optional", f"{version}, its CUDA extension is not built yet", advice)


def probe_ffmpeg(name: str) -> Finding:
    """The ffmpeg that ns-render will write videos with."""
    from nerf_plugins.video import bundled_ffmpeg

    system = shutil.which("ffmpeg")
    executable, origin = (system, "on PATH") if system else (str(bundled_ffmpeg()), "from imageio-ffmpeg")
    answer = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=60, check=True)
    version = answer.stdout.partition("version ")[2].split(" ")[0]
    return Finding(name, "ok", f"{version} {origin}, {executable}")


def probe_lpips(name: str) -> Finding:
    """AlexNet's weights, which torchmetrics downloads for LPIPS."""
    import torch

    weights = Path(torch.hub.get_dir()) / "checkpoints" / LPIPS_WEIGHTS
    if weights.exists():
        return Finding(name, "ok", str(weights))
    advice = f"they are downloaded when they are needed (233 MiB); without a network put {LPIPS_WEIGHTS} there"
    return Finding(name, "missing", f"not in {weights.parent}", advice)


def probe_cpu(name: str) -> Finding:
    """Whether the CPU multiplies bf16 matrices in hardware."""
    flags = set(_CPUINFO.read_text().split()) if _CPUINFO.exists() else set()
    bf16 = [flag for flag in ("amx_bf16", "avx512_bf16", "bf16") if flag in flags]
    if bf16:
        return Finding(name, "ok", f"{', '.join(bf16)}, {os.cpu_count()} cores")
    return Finding(name, "missing", f"not in hardware, {os.cpu_count()} cores", "nothing to do: fp32 is used instead")


def probe_precision(name: str) -> Finding:
    """The arithmetic that the field chooses on the device that it will run on."""
    import torch

    from nerf_plugins.fields.precision import resolve_precision

    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    return Finding(name, "ok", str(resolve_precision("auto", device)).removeprefix("torch."))


_REINSTALL_WARP = "pip install --force-reinstall warp-lang; or, if the cache cannot be written, set WARP_CACHE_PATH"
_INSTALL_FFMPEG = (
    "pip install --force-reinstall imageio-ffmpeg, or the system's (Debian, Ubuntu: apt-get install ffmpeg)"
)

PROBES = (
    Probe("Python", probe_python, required=True),
    Probe("torch", probe_torch, required=True, advice="reinstall it: pip install --force-reinstall torch"),
    Probe("CUDA devices", probe_cuda),
    Probe("Warp", probe_warp, required=True, advice=_REINSTALL_WARP),
    Probe("nerfstudio", probe_nerfstudio, required=True, advice="reinstall the package: pip install -e ."),
    Probe("system libraries", probe_libraries),
    Probe("tinycudann", probe_tinycudann, advice="nothing to do: it is optional; pip uninstall tinycudann stops this"),
    Probe("nerfacc", probe_nerfacc),
    Probe("ffmpeg", probe_ffmpeg, advice=_INSTALL_FFMPEG),
    Probe("LPIPS weights", probe_lpips),
    Probe("CPU bf16", probe_cpu),
    Probe("field precision", probe_precision),
)


def examine(probes: Sequence[Probe] = PROBES) -> Report:
    """Runs the probes."""
    findings = tuple(_run(probe) for probe in probes)
    required = {probe.name for probe in probes if probe.required}
    blocked_by = tuple(finding.name for finding in findings if finding.name in required and finding.status != "ok")
    return Report(findings, choose_backends(findings), not blocked_by, blocked_by)


def choose_backends(findings: Sequence[Finding]) -> dict[str, str]:
    """What each part will run on."""
    ok = {finding.name for finding in findings if finding.status == "ok"}
    details = {finding.name: finding.detail for finding in findings}
    device = "cuda:0" if "CUDA devices" in ok else "cpu"
    field = f"torch on {device}"
    if "field precision" in ok:
        field += f", {details['field precision']}"
    if {"tinycudann", "CUDA devices"} <= ok:
        field += "; or tiny-cuda-nn with --pipeline.model.field.implementation tcnn (vanilla-nerf-custom)"
        field += " or --pipeline.model.field.encoding.implementation tcnn (the hash methods)"
    return {
        "ray marching": f"Warp on {device}" if "Warp" in ok else "cannot run: Warp is not ok",
        "field": field if "torch" in ok else "cannot run: torch is not ok",
        "video": f"ffmpeg {details['ffmpeg']}" if "ffmpeg" in ok else "cannot be written: no ffmpeg",
        "LPIPS": f"torchmetrics on {device}"
        + ("" if "LPIPS weights" in ok else ", after a download; left out where that fails"),
    }


def show(report: Report, as_json: bool = False) -> None:
    """Prints a report, as tables or as JSON."""
    if as_json:
        print(json.dumps(asdict(report), indent=2))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    colours = {"ok": "green", "missing": "yellow", "optional": "dim", "broken": "red"}
    table = Table(title="What this machine has", title_justify="left")
    for column in ("", "status", "detail"):
        table.add_column(column, overflow="fold")
    for finding in report.findings:
        status = f"[{colours[finding.status]}]{finding.status}[/]"
        table.add_row(finding.name, status, escape(finding.detail))
    console.print(table)

    table = Table(title="What will be used", title_justify="left")
    for column in ("part", "backend"):
        table.add_column(column, overflow="fold")
    for part, backend in report.backends.items():
        table.add_row(part, escape(backend))
    console.print(table)

    for finding in report.findings:
        if finding.advice:
            console.print(f"[bold]{finding.name}[/]: {escape(finding.advice)}", soft_wrap=True)
    methods = f"{', '.join(METHODS[:-1])} and {METHODS[-1]}"
    if report.can_run:
        console.print(f"[green]{methods} can be trained here.[/]", soft_wrap=True)
        console.print(f"The quickest, which needs no data: [bold]{FIRST_COMMAND}[/]", soft_wrap=True)
    else:
        console.print(f"[red]No method can be trained before this is mended: {', '.join(report.blocked_by)}.[/]")


def missing_libraries() -> dict[str, str]:
    """The modules that cannot be imported for want of a library of the system, each with the error."""
    broken = {}
    for module in _MODULES_WITH_LIBRARIES:
        try:
            importlib.import_module(module)
        except Exception as error:
            broken[module] = _line(error)
    return broken


def print_missing_libraries() -> None:
    """Says in one line what :func:`missing_libraries` found; prints nothing where all is well."""
    broken = missing_libraries()
    if broken:
        print(f"{'; '.join(f'{module}: {error}' for module, error in broken.items())}. {_library_advice()}")


def _library_advice() -> str:
    packages = []
    for library, package in _APT_PACKAGES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            packages.append(package)
    if not packages:
        return "reinstall: pip install --force-reinstall opencv-python-headless open3d pymeshlab"
    needed_by = ", ".join(f"{module} for {user}" for module, user in _MODULES_WITH_LIBRARIES.items())
    return f"Debian, Ubuntu: apt-get install {' '.join(packages)} ({needed_by})"


def _run(probe: Probe) -> Finding:
    output = io.StringIO()  # what an import prints would spoil the table and the JSON
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return probe.run(probe.name)
    except (Exception, SystemExit) as error:
        return Finding(probe.name, "broken", _line(error), probe.advice)


def _line(error: BaseException) -> str:
    message = str(error).strip()
    return f"{type(error).__name__}: {message.splitlines()[0]}" if message else type(error).__name__


def _nvidia_driver() -> str | None:
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    query = [command, "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=60)
    lines = answer.stdout.split()
    return lines[0] if answer.returncode == 0 and lines else None


def _torch_extensions() -> Path:
    """Where torch puts the extensions that it builds at first use. The directory is not made."""
    import torch
    from torch.utils.cpp_extension import get_default_build_root

    root = os.environ.get("TORCH_EXTENSIONS_DIR")
    if root:
        return Path(root)
    python = f"py{sys.version_info.major}{sys.version_info.minor}{getattr(sys, 'abiflags', '')}"
    cuda = f"cu{torch.version.cuda.replace('.', '')}" if torch.version.cuda else "cpu"
    return Path(get_default_build_root()) / f"{python}_{cuda}"
