"""What computes: the interpreter, torch, CUDA devices and their driver, Warp, the CPU with its threads and arithmetic."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from nerf_plugins.doctor.findings import Finding

REINSTALL_WARP = "pip install --force-reinstall warp-lang; or, if the cache cannot be written, set WARP_CACHE_PATH"
DRIVERS = {12: 525, 13: 580}
"""The oldest NVIDIA driver for each CUDA that a wheel may be built with, by their major versions (CUDA's release notes)."""
_CPUINFO = Path("/proc/cpuinfo")


def probe_python(name: str) -> Finding:
    """The interpreter's version."""
    return Finding(name, "ok", f"{'.'.join(map(str, sys.version_info[:3]))}, {sys.executable}")


def probe_torch(name: str) -> Finding:
    """Torch's version and the CUDA that it was built for."""
    import torch

    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    return Finding(name, "ok", f"{torch.__version__}, {build}")


def probe_cuda(name: str) -> Finding:
    """The CUDA devices that torch can use, and the driver."""
    import torch

    driver = nvidia_driver()
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


def nvidia_driver() -> str | None:
    """The driver's version; None where there is none."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    query = [command, "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=60)
    lines = answer.stdout.split()
    return lines[0] if answer.returncode == 0 and lines else None


def probe_warp(name: str) -> Finding:
    """Warp: runs one of the package's kernels on the devices that the method may use, which compiles it there."""
    import torch
    import warp as wp

    wp.init()
    detail = f"{wp.config.version}, devices {', '.join(str(device) for device in wp.get_devices())}"
    detail += f", cache {wp.config.kernel_cache_dir}"
    if not wp.is_cpu_available():
        return Finding(name, "broken", f"{detail}; no compiler for the CPU", REINSTALL_WARP)
    if torch.cuda.is_available() and not wp.is_cuda_available():
        return Finding(name, "broken", f"{detail}; torch has CUDA, Warp has not", _driver_advice())

    from nerf_plugins.ops import composite

    for device in ["cpu", "cuda:0"] if torch.cuda.is_available() else ["cpu"]:
        one = torch.ones(1, device=device)
        packed_info = torch.tensor([[0, 1]], dtype=torch.int32, device=device)
        accumulation = composite(one, one.expand(1, 3).contiguous(), 0 * one, one, packed_info).accumulation
        if abs(accumulation.item() - 0.632121) > 1e-4:  # 1 - exp(-1)
            return Finding(name, "broken", f"{detail}; a kernel gives wrong numbers on {device}", REINSTALL_WARP)
    return Finding(name, "ok", detail)


def _driver_advice() -> str:
    """Warp finds no CUDA device, without a word, where the driver is older than its wheel's CUDA; torch's may be built for an older one."""
    import warp as wp

    toolkit = wp.get_cuda_toolkit_version()
    if toolkit is None:
        return f"this Warp is built without CUDA: {REINSTALL_WARP}"
    needed = DRIVERS.get(toolkit[0])
    return (
        f"Warp's wheel is built with CUDA {'.'.join(map(str, toolkit))}, which needs an NVIDIA driver "
        f"{'of its time' if needed is None else needed} or later; here it is {nvidia_driver() or 'unknown'}: update it"
    )


def probe_cpu(name: str) -> Finding:
    """Whether the CPU multiplies bf16 matrices in hardware."""
    flags = set(_CPUINFO.read_text().split()) if _CPUINFO.exists() else set()
    bf16 = [flag for flag in ("amx_bf16", "avx512_bf16", "bf16") if flag in flags]
    if bf16:
        return Finding(name, "ok", f"{', '.join(bf16)}, {os.cpu_count()} cores")
    return Finding(name, "missing", f"not in hardware, {os.cpu_count()} cores", "nothing to do: fp32 is used instead")


def probe_threads(name: str) -> Finding:
    """Torch's threads on the CPU, and what OpenMP's threads do while they wait for work: on shared cores, those that spin slow others."""
    from nerf_plugins.threads import describe_threads

    policy = os.environ.get("OMP_WAIT_POLICY", "not set")
    waiting = {"passive": "sleep", "active": "spin"}.get(policy.strip().lower(), "spin for a while, then sleep")
    spins = "".join(f", {x} {os.environ[x]}" for x in ("GOMP_SPINCOUNT", "KMP_BLOCKTIME") if x in os.environ)
    return Finding(
        name,
        "ok",
        f"{describe_threads()}; while they wait they {waiting} (OMP_WAIT_POLICY {policy}{spins})",
    )


def probe_precision(name: str) -> Finding:
    """The arithmetic that the field chooses on the device that it will run on."""
    import torch

    from nerf_plugins.fields.precision import resolve_precision

    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    return Finding(name, "ok", str(resolve_precision("auto", device)).removeprefix("torch."))
