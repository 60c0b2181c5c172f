"""Whole training steps of every method on fake CUDA: nothing waits for the device, launches stay few, arithmetic is what it should be."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

MOST_LAUNCHES = {
    "nerf-hash-custom": 105,
    "vanilla-nerf-custom": 135,
    "neus-hash-custom": 215,
    "neus-custom": 416,
    "photos-nerf-custom": 249,
}
"""Of a step that updates no grid, as docs/cuda.md has them; a method that is not here may have as many as it likes."""
USUAL_STEP = 1007


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    path = tmp_path_factory.mktemp("steps") / "steps.json"
    command = [sys.executable, str(Path(__file__).parent / "all_steps.py"), str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=Path(__file__).parents[2])
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_variant_takes_its_steps(rows):
    failed = [f"{row['method']}, {row['variant']}:\n{row['error']}" for row in rows if "error" in row]
    assert not failed, "\n".join(failed)
    assert set(MOST_LAUNCHES) <= {row["method"] for row in rows}


def test_no_step_waits_for_the_device(rows):
    waits = [f"{row['method']}, {row['variant']}, step {row['step']}: {what}" for row in rows for what in row["waits"]]
    assert not waits, "\n".join(waits)


PROPOSALS = {"photos-nerf-custom", "mip-nerf-360-custom", "neus-hash-custom"}


def test_every_parameter_learns(rows):
    """One that does not is read back in each step by DDP; the proposals' field, which later learns in some steps only, is in the others."""
    unused = {(row["method"], row["step"], name) for row in rows for name in row["unused"]}
    assert not {key for key in unused if key[1] == 0}
    assert not {
        key for key in unused if key[1] == USUAL_STEP and not (key[0] in PROPOSALS and "sampler.field" in key[2])
    }


@pytest.mark.parametrize("method", MOST_LAUNCHES)
def test_launches_stay_few(rows, method):
    (row,) = [r for r in rows if (r["method"], r["variant"], r["step"]) == (method, "as it is", USUAL_STEP)]
    phases = Counter(phase for phase, *_ in row["operations"])
    assert len(row["operations"]) <= MOST_LAUNCHES[method], dict(phases)


def products(rows: list[dict[str, Any]], method: str, variant: str) -> Counter[str]:
    """Dtypes of the matrix products of a step."""
    (row,) = [r for r in rows if (r["method"], r["variant"], r["step"]) == (method, variant, USUAL_STEP)]
    return Counter(dtype for _, _, flops, dtype, _ in row["operations"] if flops > 1e6)


@pytest.mark.parametrize("method", MOST_LAUNCHES)
def test_mixed_precision_changes_no_product(rows, method):
    assert products(rows, method, "mixed precision") == products(rows, method, "as it is")


def test_layers_are_bf16_and_distances_float32(rows):
    for method in ("nerf-hash-custom", "vanilla-nerf-custom"):
        dtypes = products(rows, method, "as it is")
        assert dtypes["float32"] <= 1  # the spherical harmonics, once a ray
        assert dtypes["bfloat16"] >= 15
        assert not dtypes["float16"]
    for method in ("neus-hash-custom", "neus-custom"):
        assert {"float32", "bfloat16"} == set(products(rows, method, "as it is"))


def test_every_kernel_that_is_launched_is_compiled_in_the_other_check(rows, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    import compile_kernels

    compiled = {f"warp {kernel.key}" for _, kernel in compile_kernels.default_kernels()}
    launched = {name for row in rows for _, name, *_ in row["operations"] if name.startswith("warp ")}
    assert len(launched) > 8
    assert launched <= compiled
