"""Defaults that differ by the device of the run: numbers that know what they would be on the other one.

Such a number is that of the device this machine has until the run's device is known (``--machine.device-type``); then
:func:`resolve_presets` puts plain numbers in their place. What a user gives is a plain number from the start, so it stays.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, overload

import torch

DeviceType = Literal["cpu", "cuda"]


class _ByDevice:
    cpu: Any
    cuda: Any

    def on(self, device_type: str) -> Any:
        """The plain number for a device."""
        return self.cuda if device_type == "cuda" else self.cpu


class _IntByDevice(int, _ByDevice):
    pass


class _FloatByDevice(float, _ByDevice):
    pass


@overload
def by_device(cpu: int, cuda: int) -> int: ...
@overload
def by_device(cpu: float, cuda: float) -> float: ...
def by_device(cpu: int | float, cuda: int | float) -> int | float:
    """A default that is one number on a CPU and another on CUDA."""
    kind = _IntByDevice if isinstance(cpu, int) and isinstance(cuda, int) else _FloatByDevice
    value = kind(cpu if default_device() == "cpu" else cuda)
    value.cpu, value.cuda = cpu, cuda
    return value


def resolve_presets(config: Any, device_type: str) -> None:
    """Replaces, in place, all such numbers in a configuration by those for a device.

    Args:
        config: a dataclass; others in it, also in its dictionaries, are looked through.
        device_type: of the run; what is not "cuda" counts as "cpu".
    """
    if isinstance(config, dict):
        for value in config.values():
            resolve_presets(value, device_type)
    elif dataclasses.is_dataclass(config) and not isinstance(config, type):
        for option in dataclasses.fields(config):
            value = getattr(config, option.name, None)
            if isinstance(value, _ByDevice):
                setattr(config, option.name, value.on(device_type))
            else:
                resolve_presets(value, device_type)


def default_device() -> DeviceType:
    """The device a machine can train on."""
    return "cuda" if torch.cuda.is_available() else "cpu"
