"""The eikonal error and its gradient: by hand, beside torch, and through a gradient that was taken itself."""

import pytest
import torch
from torch import Tensor

from nerf_plugins.ops import eikonal_error


def by_torch(gradients: Tensor, t_starts: Tensor, t_ends: Tensor) -> Tensor:
    is_sample = (t_ends > t_starts).to(gradients)
    errors = (gradients.norm(dim=-1) - 1.0) ** 2
    return (errors * is_sample).sum() / is_sample.sum().clamp(min=1.0)


def test_by_hand():
    # Lengths 5, 0.5 and padding: (16 + 0.25) / 2. The gradient pulls along g: 2 (5 - 1) / 2 * (0.6, 0, 0.8), 2 (0.5 - 1) / 2 * (0, 1, 0).
    gradients = torch.tensor([[3.0, 0.0, 4.0], [0.0, 0.5, 0.0], [9.0, 9.0, 9.0]], requires_grad=True)
    error = eikonal_error(gradients, torch.zeros(3), torch.tensor([1.0, 1.0, 0.0]))
    assert float(error.detach()) == 8.125
    (3 * error).backward()
    assert gradients.grad is not None
    expected = 3 * torch.tensor([[2.4, 0.0, 3.2], [0.0, -0.5, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(gradients.grad, expected)


def test_beside_torch(generator: torch.Generator):
    n = 5000
    gradients = torch.randn(n, 3, generator=generator)
    gradients[:20] = 0.0
    starts = torch.rand(n, generator=generator)
    ends = starts + (torch.rand(n, generator=generator) - 0.3).clamp(min=0.0)
    single, double = gradients.clone().requires_grad_(), gradients.double().requires_grad_()
    error, expected = eikonal_error(single, starts, ends), by_torch(double, starts, ends)
    torch.testing.assert_close(error.double(), expected, rtol=1e-5, atol=0.0)
    error.backward()
    expected.backward()
    assert single.grad is not None
    assert double.grad is not None
    torch.testing.assert_close(single.grad.double(), double.grad, rtol=1e-4, atol=1e-9)


def test_it_reaches_the_parameters_through_the_gradient_of_a_distance(generator: torch.Generator):
    """The gradient of an ellipsoid's function is taken with autograd, and the error's goes back through that."""
    scale = torch.tensor([0.5, 1.5, 2.0], requires_grad=True)
    x = torch.randn(50, 3, generator=generator, requires_grad=True)
    places = torch.zeros(50), torch.ones(50)
    (gradients,) = torch.autograd.grad((x * scale).norm(dim=-1).sum(), x, create_graph=True)
    (of_op,) = torch.autograd.grad(eikonal_error(gradients, *places), scale, retain_graph=True)
    (expected,) = torch.autograd.grad(by_torch(gradients, *places), scale)
    torch.testing.assert_close(of_op, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n", [0, 4])
def test_without_samples_it_is_0(n: int):
    gradients = torch.ones(n, 3, requires_grad=True)
    error = eikonal_error(gradients, torch.zeros(n), torch.zeros(n))
    assert float(error.detach()) == 0.0
    error.backward()
    assert gradients.grad is not None
    assert not gradients.grad.any()


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gradients": torch.zeros(2, 2)}, r"gradients must have shape \(n, 3\), got \(2, 2\)"),
        ({"t_ends": torch.zeros(3)}, r"t_ends must have shape \(2\), got \(3,\)"),
        ({"t_starts": torch.zeros(2).half()}, r"t_starts must be torch\.float32, got torch\.float16"),
    ],
)
def test_bad_input_is_named(change: dict, message: str):
    good = {"gradients": torch.zeros(2, 3), "t_starts": torch.zeros(2), "t_ends": torch.ones(2)}
    with pytest.raises((TypeError, ValueError), match=message):
        eikonal_error(**good | change)
