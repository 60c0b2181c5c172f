"""Whether the NVIDIA driver is new enough for what was installed; said before a training begins, not by its first kernel or not at all."""

from __future__ import annotations

import ctypes

import torch

from nerf_plugins.errors import InputError

_ADVICE = "update the driver (580 or later for CUDA 13)"


def check_driver(device: torch.device) -> str | None:
    """What is to be said about the driver before training on a device; None where nothing is.

    Raises:
        InputError: the device is CUDA's and the driver too old for Warp's kernels.
    """
    if device.type == "cuda":
        _require_warp_on_cuda()
        return None
    driver = driver_cuda_version()
    if driver is None or torch.version.cuda is None or torch.cuda.is_available():
        return None
    return (
        f"Training on the CPU: torch is built for CUDA {torch.version.cuda}, and finds no device with the NVIDIA driver for "
        f"CUDA {driver[0]}.{driver[1]}: {_ADVICE}, or install a torch for an older CUDA."
    )


def _require_warp_on_cuda() -> None:
    import warp as wp

    import nerf_plugins.kernels  # noqa: F401  Warp without its banner

    if wp.is_cuda_available():
        return
    built = wp.get_cuda_toolkit_version() or (0, 0)
    driver = driver_cuda_version()
    seen = "there is none" if driver is None else f"this one is for CUDA {driver[0]}.{driver[1]}"
    raise InputError(
        f"Warp {wp.config.version} needs an NVIDIA driver for CUDA {built[0]}, and {seen}: {_ADVICE}, "
        "or train with --machine.device-type cpu"
    )


def driver_cuda_version() -> tuple[int, int] | None:
    """The CUDA version that the NVIDIA driver has, found without torch and Warp; None where there is no driver."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
        version = ctypes.c_int()
        if library.cuDriverGetVersion(ctypes.byref(version)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return version.value // 1000, version.value % 1000 // 10
