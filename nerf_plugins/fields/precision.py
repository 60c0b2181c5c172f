"""Which arithmetic a field's layers use."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch

Precision = Literal["auto", "fp32", "bf16"]


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """The dtype of the layers on a device: auto is bf16 where the hardware multiplies bf16 matrices, else fp32."""
    if precision == "auto":
        return torch.bfloat16 if _multiplies_bf16(device.type) else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]


@lru_cache
def _multiplies_bf16(device_type: str) -> bool:
    if device_type == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    if device_type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
