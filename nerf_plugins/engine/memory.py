"""Keeping freed memory on the CPU, as torch's allocator does on CUDA, and how much was in use."""

from __future__ import annotations

import ctypes
import resource
import sys

import torch

# glibc's mallopt parameters (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_TWO_GIB = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tells glibc to keep up to 2 GiB of freed memory instead of giving it back at once.

    torch frees a step's activations and asks for the same again in the next one. By default each of them is a new mapping whose pages
    the kernel has to clear and map one by one, which took as long as the matrix products of the MLP. Does nothing where there is no
    glibc.

    Returns:
        Whether it took effect.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _TWO_GIB))


def peak_mib(device: torch.device) -> float:
    """The most memory so far, in MiB: of the tensors on a CUDA device, or else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
