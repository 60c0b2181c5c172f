"""Checks of op arguments. Each names the argument and what was seen."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def require_tensor(name: str, value: object, dtype: torch.dtype, shape: tuple[int | None, ...]) -> Tensor:
    """A tensor of this dtype and shape (None: any length), contiguous.

    Raises:
        TypeError: not a tensor, or of another dtype.
        ValueError: of another shape.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__} {value!r}")
    if value.dtype != dtype:
        raise TypeError(f"{name} must be {dtype}, got {value.dtype}")
    if value.ndim != len(shape) or any(want is not None and want != got for want, got in zip(shape, value.shape)):
        wanted = "(" + ", ".join("n" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"{name} must have shape {wanted}, got {tuple(value.shape)}")
    return value.contiguous()


def require_same_device(**tensors: Tensor) -> torch.device:
    """All tensors on one CPU or CUDA device, which is returned.

    Raises:
        ValueError: on different devices, or on another kind of device.
    """
    (first_name, first), *others = tensors.items()
    for name, tensor in others:
        if tensor.device != first.device:
            raise ValueError(f"{name} is on {tensor.device}, but {first_name} is on {first.device}")
    if first.device.type not in ("cpu", "cuda"):
        raise ValueError(f"{first_name} is on {first.device}: the kernels run on cpu and cuda")
    return first.device


def require_positive(name: str, value: float, *, allow_zero: bool = False, allow_inf: bool = False) -> float:
    """A number > 0 (or >= 0), finite unless ``allow_inf``.

    Raises:
        TypeError: not a number.
        ValueError: out of range or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {type(value).__name__} {value!r}")
    fits = value >= 0 if allow_zero else value > 0
    if not fits or (math.isinf(value) and not allow_inf):
        wanted = ">= 0" if allow_zero else "> 0"
        raise ValueError(f"{name} must be {wanted}{'' if allow_inf else ' and finite'}, got {value!r}")
    return float(value)


def require_count(name: str, value: int | None, default: int) -> int:
    """An int >= 0, or the default for None.

    Raises:
        TypeError: not an int.
        ValueError: negative.
    """
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {type(value).__name__} {value!r}")
    if value < 0:
        raise ValueError(f"{name} must be >= 0, got {value}")
    return value
