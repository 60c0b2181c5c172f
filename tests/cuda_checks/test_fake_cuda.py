"""What the recorder of fake CUDA sees: every kind of wait, where it is planted, and the launches of a step written by hand."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    return importlib.import_module("fake_cuda")


def waits_of(fake_cuda: Any, run: Any) -> list[str]:
    record = fake_cuda.Record()
    with fake_cuda.fake_cuda(record, number=3.0):
        x = torch.rand(16, 3, device="cuda")
        record.operations.clear()
        run(x)
    return list(record.waits)


PLANTED = {
    "item": lambda x: x.mean().item(),
    "float": lambda x: float(x[0, 0]),
    "bool": lambda x: bool((x > 0.5).any()),
    "int": lambda x: int(x.argmax()),
    "tolist": lambda x: x.amax().tolist(),
    "cpu": lambda x: x.cpu(),
    "to cpu": lambda x: x.to("cpu"),
    "mask": lambda x: x[x > 0.5],
    "written by a mask": lambda x: x.index_put_((x[:, 0] > 0.5,), x.new_zeros(())),
    "list of columns": lambda x: x[:, [0, 2]],
    "columns written": lambda x: x.__setitem__((slice(None), [0, 2]), 0.0),
    "indices on the host": lambda x: x[torch.tensor([1, 2])],
    "nonzero": lambda x: torch.nonzero(x),
    "where": lambda x: torch.where(x > 0.5),
    "unique": lambda x: torch.unique(x),
    "masked_select": lambda x: torch.masked_select(x, x > 0.5),
    "repeat_interleave": lambda x: torch.repeat_interleave(torch.ones(3, dtype=torch.int64, device=x.device)),
    "tensor": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "upload": lambda x: torch.zeros(100).to(x.device, non_blocking=True),
    "pinned, blocking": lambda x: torch.zeros(100).pin_memory().to(x.device),
    "copy_": lambda x: torch.zeros(16, 3).copy_(x),
    "equal": lambda x: torch.equal(x, x + 1),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_wait_is_seen(fake_cuda, name):
    waits = waits_of(fake_cuda, PLANTED[name])
    assert len(waits) >= 1, f"{name} was not seen"


HARMLESS = {
    "arithmetic": lambda x: (2 * x + 1).exp().sum(),
    "upload": lambda x: torch.zeros(100).pin_memory().to(x.device, non_blocking=True),
    "read later": lambda x: x.sum().to("cpu", non_blocking=True),
    "indices on the device": lambda x: x[x.argmax(0)],
    "repeat": lambda x: x.repeat_interleave(3, dim=0),
    "slices": lambda x: x[:, :2].zero_(),
    "views": lambda x: x.t().reshape(-1, 4).unbind(-1),
    "random": lambda x: torch.randint(10, (5,), device=x.device),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_does_not_wait_is_not_accused(fake_cuda, name):
    assert waits_of(fake_cuda, HARMLESS[name]) == []


def test_launches_of_a_step_by_hand(fake_cuda):
    record = fake_cuda.Record()

    def loss_of(x: Tensor, weight: Tensor) -> Tensor:
        return torch.relu(x @ weight).sum()

    with fake_cuda.fake_cuda(record, number=1.0):
        x = torch.rand(64, 8, device="cuda")
        weight = torch.nn.Parameter(torch.rand(8, 4, device="cuda"))
        record.operations.clear()
        loss = fake_cuda.in_phase(record, "forward", loss_of)(x, weight)
        fake_cuda.in_phase(record, "backward", Tensor.backward)(loss)
    names = [(operation.phase, operation.name) for operation in record.operations]
    assert names == [
        ("forward", "mm"),
        ("forward", "relu"),
        ("forward", "sum"),
        ("backward", "ones_like"),
        ("backward", "threshold_backward"),  # the sum's gradient is a view
        ("backward", "mm"),
    ]
    product = record.operations[0]
    assert product.flops == 2 * 64 * 8 * 4
    assert product.n_bytes == 4 * (64 * 8 + 8 * 4 + 64 * 4)
    assert weight.grad is not None
    assert weight.grad.shape == (8, 4)


def test_a_product_whose_positive_part_is_taken_at_once_counts_as_one(fake_cuda):
    record = fake_cuda.Record()
    with fake_cuda.fake_cuda(record, number=1.0):
        bias, x, weight = (torch.rand(*shape, device="cuda") for shape in ((4,), (64, 8), (8, 4)))
        torch._addmm_activation(bias, x, weight)
    assert [o.flops for o in record.operations if o.name == "_addmm_activation"] == [2 * 64 * 8 * 4]


def test_the_graph_is_walked_as_by_torch(fake_cuda):
    """Values reused, broadcast, without gradient and through an autograd.Function of two outputs: on the CPU the walk computes."""

    class Both(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
            return 2 * x, 3 * x

        @staticmethod
        def backward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
            return 2 * first + 3 * second

    generator = torch.Generator().manual_seed(1)
    values = [torch.rand(shape, generator=generator) for shape in ((5, 3), (3,), (5, 1))]

    def loss_of(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        doubled, tripled = Both.apply(a)  # type: ignore[misc]
        return (doubled * b + tripled.detach() * c + a * a * tripled).sigmoid().mean() + b.sum()

    mine, theirs = ([v.clone().requires_grad_() for v in values] for _ in range(2))
    fake_cuda.backward(loss_of(*mine))
    loss_of(*theirs).backward()
    for a, b in zip(mine, theirs):
        torch.testing.assert_close(a.grad, b.grad)
