import pytest
import torch

from nerf_plugins.fields.encodings.frequency import encode, encode_backward


@pytest.mark.parametrize("base_frequency", [1.0, torch.pi])
@pytest.mark.parametrize("n_frequencies", [0, 1, 6])
def test_backward_is_autograds(generator, n_frequencies, base_frequency):
    x = (torch.rand(50, 3, generator=generator) * 2 - 1).double().requires_grad_()
    grad = torch.randn(50, 3 + 6 * n_frequencies, generator=generator).double()
    (expected,) = torch.autograd.grad(encode(x, n_frequencies, base_frequency), x, grad)
    torch.testing.assert_close(encode_backward(x, grad, n_frequencies, base_frequency), expected)


def test_backward_is_itself_differentiable(generator):
    x = (torch.rand(5, 3, generator=generator) * 2 - 1).double().requires_grad_()
    grad = torch.randn(5, 15, generator=generator).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, grad: encode_backward(x, grad, 2, 1.0), (x, grad))


def test_backward_by_hand():
    # d/dx of sin(2 x) is 2 cos(2 x), of cos(2 x) it is -2 sin(2 x): the second octave at x = pi / 4 and 0.
    x = torch.tensor([[torch.pi / 4, 0.0, 0.0]])
    grad = torch.zeros(1, 15)
    grad[0, 3 + 3 + 1] = 1.0  # sin(2 y)
    grad[0, 9 + 3] = 1.0  # cos(2 x)
    assert torch.allclose(encode_backward(x, grad, 2, 1.0), torch.tensor([[-2.0, 2.0, 0.0]]), atol=1e-6)


def test_backward_of_no_points():
    assert encode_backward(torch.zeros(0, 3), torch.zeros(0, 39), 6).shape == (0, 3)
