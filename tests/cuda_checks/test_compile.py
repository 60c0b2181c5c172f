"""Every kernel compiles for CUDA, keeps what it works on in registers, and leaves room for enough threads."""

import importlib
from pathlib import Path

import pytest
import warp as wp

MOST_REGISTERS = 80
"""Of 65,536 on a multiprocessor: three blocks of 256 threads of such a kernel run there at once."""

MORE_REGISTERS = {
    "planes.look_up (k-planes, moving)": 96,
    "planes.to_positions (k-planes)": 112,
    "planes.to_positions (k-planes, moving)": 184,
}
"""Places and weights of 12 or 24 corners. Positions have gradients only where poses are learnt."""


@pytest.fixture
def compile_kernels(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    return importlib.import_module("compile_kernels")


def test_every_kernel_on_every_architecture(compile_kernels, tmp_path: Path):
    architectures = compile_kernels.supported(compile_kernels.ARCHITECTURES)
    assert {80, 90} <= set(architectures)
    usages = compile_kernels.compile_all(compile_kernels.default_kernels(), architectures, tmp_path)
    assert len(usages) > 10
    for name, of_kernel in usages.items():
        assert list(of_kernel) == architectures
        for architecture, usage in of_kernel.items():
            assert usage.local_bytes == 0, (
                f"{name} keeps {usage.local_bytes} bytes in local memory on sm_{architecture}"
            )
            assert 8 < usage.registers <= MORE_REGISTERS.get(name, MOST_REGISTERS), (
                f"{name} takes {usage.registers} registers on sm_{architecture}"
            )


def test_the_docs_list_every_kernel(compile_kernels):
    text = (Path(__file__).parents[2] / "docs/cuda.md").read_text(encoding="utf-8")
    missing = [name for name, _ in compile_kernels.default_kernels() if f"| `{name}` |" not in text]
    assert not missing, "make the table in docs/cuda.md anew: python scripts/compile_kernels.py"


@wp.func_native("""
    float numbers[64];
    for (int k = 0; k < 64; ++k) numbers[k] = values.data[k + i];
    for (int k = 0; k < 64; ++k) values.data[k] = numbers[((int)numbers[k]) & 63];
""")
def write_by_value(values: wp.array[float], i: int): ...


@wp.kernel(module="unique", enable_backward=False)
def kernel_with_local_memory(values: wp.array[float]):
    write_by_value(values, wp.tid())


def test_local_memory_is_seen(compile_kernels, tmp_path: Path):
    kernels = [("local", kernel_with_local_memory)]
    assert compile_kernels.compile_all(kernels, [80], tmp_path)["local"][80].local_bytes >= 256
