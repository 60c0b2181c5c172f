#!/usr/bin/env python3
"""Compiles every kernel for CUDA architectures, on a machine that needs no GPU, and prints what each takes of a multiprocessor.

python scripts/compile_kernels.py --architectures 80 90 120

NVRTC, CUDA's compiler, is part of Warp. Registers and local memory are read from the binaries (ELF, section .nv.info).
"""

from __future__ import annotations

import importlib
import pkgutil
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import tyro
import warp as wp

import nerf_plugins.kernels
from nerf_plugins.kernels import hash_encoding, planes, voxel_tv, voxels

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
HASH_DTYPES = (("float32", "float32"), ("float32", "bfloat16"))
"""What the methods read the hash table in, and the features that they make of it: for layers in fp32 and in bf16."""
VOXEL_WIDTHS = (1, 27)
"""Numbers of a vertex: a density, and Plenoxels' harmonics; DVGO's features are between."""


class Usage(NamedTuple):
    """What a thread of a kernel takes."""

    registers: int
    local_bytes: int
    """Of its stack: local memory lies in the GPU's main memory."""


PLANES = {"vm": ((2, 1), 48), "k-planes": ((2, 2, 2), 32), "k-planes, moving": ((2,) * 6, 32)}
"""Axes of a product's factors, and features."""


@dataclass
class Options:
    """Registers and local memory of each kernel."""

    architectures: tuple[int, ...] = ARCHITECTURES
    """Compute capabilities, ten times: 90 is an H100's."""
    keep: Path | None = field(default=None)
    """Folder that the binaries are left in."""


def default_kernels() -> Iterator[tuple[str, Any]]:
    """(name, kernel) of what the methods launch with their default options."""
    package = nerf_plugins.kernels
    for module_info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(module_info.name)
        for name, value in vars(module).items():
            if isinstance(value, wp.Kernel):
                yield f"{module_info.name.rpartition('.')[2]}.{name}", value
    seen = set()
    for table_dtype, features_dtype in HASH_DTYPES:
        kernels = hash_encoding.kernels_for(2, getattr(wp, table_dtype), getattr(wp, features_dtype))
        for name, kernel in kernels._asdict().items():
            if kernel not in seen:
                seen.add(kernel)
                makes_features = name == "encode"
                yield f"hash_encoding.{name}{f' to {features_dtype}' if makes_features else ''}", kernel
    for form, (n_axes, n_features) in PLANES.items():
        for name, kernel in planes.kernels_for(n_axes, n_features, chunk=1)._asdict().items():
            yield f"planes.{name} ({form})", kernel
    for width in VOXEL_WIDTHS:
        for name, kernel in voxels.kernels_for(width)._asdict().items():
            yield f"voxels.{name} of {width}", kernel
        yield f"voxel_tv.variation of {width}", voxel_tv.variation_kernel(width)


def supported(architectures: Iterable[int]) -> list[int]:
    """Those of the architectures that the installed Warp can compile for."""
    return [a for a in architectures if a in wp._src.context.runtime.nvrtc_supported_archs]  # type: ignore[union-attr]


def compile_all(
    kernels: Iterable[tuple[str, Any]], architectures: Sequence[int], folder: Path
) -> dict[str, dict[int, Usage]]:
    """Kernel's name -> architecture -> what it takes.

    Args:
        kernels: (name, kernel).
        architectures: what Warp's NVRTC can compile for.
        folder: for the binaries.

    Raises:
        Exception: a kernel does not compile; Warp prints what NVRTC says.
    """
    usages: dict[str, dict[int, Usage]] = {}
    compiled: dict[tuple[int, Any], dict[str, Usage]] = {}
    for name, kernel in kernels:
        for architecture in architectures:
            key = (architecture, kernel.module)
            if key not in compiled:
                target = folder / f"sm_{architecture}" / name.replace(" ", "_")
                (binary,) = wp.compile_aot_module(kernel.module, arch=architecture, module_dir=target, use_ptx=False)
                compiled[key] = read_usages(binary.read_bytes())
            symbol = f"{kernel.get_mangled_name()}_cuda_kernel_forward"
            usages.setdefault(name, {})[architecture] = compiled[key][symbol]
    return usages


# Attributes of .nv.info: their payload is a symbol's number and a value, 32 bits each.
_REGISTERS, _FRAME_BYTES = 0x2F, 0x11
_WITH_PAYLOAD = 4


def read_usages(binary: bytes) -> dict[str, Usage]:
    """Mangled kernel's name -> what it takes, of a CUDA binary."""
    (table_offset,) = struct.unpack_from("<Q", binary, 0x28)
    entry_size, n_sections, names_section = struct.unpack_from("<3H", binary, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", binary, table_offset + i * entry_size) for i in range(n_sections)]

    def content(i: int) -> bytes:
        offset, size = headers[i][4:6]
        return binary[offset : offset + size]

    def text(strings: bytes, offset: int) -> str:
        return strings[offset : strings.index(b"\0", offset)].decode()

    section_names = [text(content(names_section), header[0]) for header in headers]
    symbols = section_names.index(".symtab")
    strings = content(headers[symbols][6])
    names = [text(strings, offset) for offset, *_ in struct.iter_unpack("<IBBHQQ", content(symbols))]
    found: dict[int, dict[str, int]] = {_REGISTERS: {}, _FRAME_BYTES: {}}
    info, position = content(section_names.index(".nv.info")), 0
    while position < len(info):
        kind, attribute, size = struct.unpack_from("<BBH", info, position)
        position += 4
        if kind != _WITH_PAYLOAD:  # the value is where the size would be
            continue
        if attribute in found:
            symbol, value = struct.unpack_from("<II", info, position)
            found[attribute][names[symbol]] = value
        position += size
    return {name: Usage(n, found[_FRAME_BYTES].get(name, 0)) for name, n in found[_REGISTERS].items()}


def main() -> None:
    """Prints the table."""
    options = tyro.cli(Options)
    architectures = supported(options.architectures)
    with tempfile.TemporaryDirectory() as folder:
        usages = compile_all(default_kernels(), architectures, options.keep or Path(folder))
    print(f"| kernel | {' | '.join(f'sm_{a}' for a in architectures)} |")
    print("|---" * (len(architectures) + 1) + "|")
    for name, of_kernel in usages.items():
        cells = [
            f"{usage.registers}" + (f" + {usage.local_bytes} B local" if usage.local_bytes else "")
            for usage in of_kernel.values()
        ]
        print(f"| `{name}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
