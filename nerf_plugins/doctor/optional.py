"""What training does not need: tiny-cuda-nn, nerfacc, an ffmpeg for videos, the weights of LPIPS."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from nerf_plugins.doctor.findings import Finding

LPIPS_WEIGHTS = "alexnet-owt-7be5be79.pth"
INSTALL_FFMPEG = (
    "pip install --force-reinstall imageio-ffmpeg, or the system's (Debian, Ubuntu: apt-get install ffmpeg)"
)


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


def probe_ffmpeg(name: str) -> Finding:
    """The ffmpeg that ns-render will write videos with."""
    from nerf_plugins.files.ffmpeg import bundled_ffmpeg

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
