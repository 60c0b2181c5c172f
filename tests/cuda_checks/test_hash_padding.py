"""The form that the hash kernels have on CUDA, compiled for the CPU: padding is passed over, and no number changes."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import warp as wp

from nerf_plugins.kernels import hash_encoding as kernels
from nerf_plugins.kernels.launch import launch
from nerf_plugins.ops import hash_encode, hash_encode_backward, hash_levels

SHAPE = (4, 4, 32, 10)
N, N_PADDING = 300, 100


@pytest.fixture
def cuda_form(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kernels made while this is used have the form for CUDA, on whatever device they are compiled."""
    makers = (kernels.kernels_for, kernels._gather, kernels._scatter, kernels._to_positions)

    def forget() -> None:
        for maker in makers:
            maker.cache_clear()

    forget()
    monkeypatch.setattr(kernels, "ON_CUDA", "1")
    yield
    forget()


def padded_batch(generator: torch.Generator, n_features: int) -> dict[str, Any]:
    """A batch whose last samples, and some between, have no gradient; those at the end are all at one place, as padding is."""
    levels = hash_levels(*SHAPE)
    positions = torch.rand(N, 3, generator=generator)
    positions[-N_PADDING:] = positions[0].clone()
    grad = torch.randn(N, 4 * n_features, generator=generator)
    grad[-N_PADDING:] = 0.0
    grad[::7] = -0.0
    table = torch.randn(int(levels.offsets[-1]), n_features, generator=generator)
    along = torch.randn(N, 3, generator=generator)
    along[-N_PADDING:] = 0.0
    along[5::11] = 0.0
    return {"positions": positions, "table": table, "grad": grad, "along": along, "levels": levels}


def derivatives(batch: dict[str, Any]) -> list[torch.Tensor]:
    """Gradients of table and positions, and the second-order ones that NeuS needs, of table, positions and features' gradient."""
    leaves = [batch[name].clone().requires_grad_() for name in ("positions", "table", "grad")]
    positions, table, grad = leaves
    first = torch.autograd.grad(hash_encode(positions, table, batch["levels"]), leaves[:2], batch["grad"])
    slopes = hash_encode_backward(positions, table, grad, batch["levels"])
    return [*first, *torch.autograd.grad(slopes, leaves, batch["along"])]


@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
def test_passing_over_padding_changes_no_number(generator, n_features, request):
    batch = padded_batch(generator, n_features)
    expected = derivatives(batch)
    request.getfixturevalue("cuda_form")
    for mine, theirs in zip(derivatives(batch), expected):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


# What NeuS takes along a direction has a gradient of the features everywhere, and in padding no direction.
@pytest.mark.usefixtures("cuda_form")
@pytest.mark.parametrize(
    ("name", "without"), [("scatter", "grad"), ("scatter_along", "grad"), ("scatter_along", "along")]
)
def test_padding_adds_to_no_entry(generator, name, without):
    """An entry of -0 becomes 0 by adding 0 to it."""
    batch = padded_batch(generator, 2)
    batch[without] = torch.zeros_like(batch[without])
    entries = torch.full_like(batch["table"], -0.0)
    kernel = getattr(kernels.kernels_for(2, wp.float32, wp.float32), name)
    grad = batch["grad"].t().contiguous().view(-1)
    inputs = [batch["positions"], batch["along"], *batch["levels"], 0, N, 1, grad, (entries, wp.vec2)]
    launch(kernel, 4 * N, inputs, torch.device("cpu"), n_pieces=4)
    assert torch.signbit(entries).all()


@pytest.mark.usefixtures("cuda_form")
def test_padding_reads_no_entry_for_the_positions_gradient(generator):
    batch = padded_batch(generator, 2)
    table = torch.full_like(batch["table"], torch.nan)
    slopes = hash_encode_backward(batch["positions"], table, batch["grad"], batch["levels"])
    assert (slopes[-N_PADDING:] == 0).all()
    assert slopes[1:7].isnan().all()
