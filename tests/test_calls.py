import pytest
import torch
from torch import Tensor

from nerf_plugins.calls import call_size, in_calls


def test_all_points_reach_the_function_once_and_in_order():
    lengths = []

    def weighted(positions: Tensor, weights: Tensor) -> Tensor:
        lengths.append((len(positions), len(weights)))
        return positions * weights[:, None]

    positions, weights = torch.rand(10, 3), torch.rand(10)
    result = in_calls(weighted, positions, weights, size=4)
    torch.testing.assert_close(result, positions * weights[:, None], rtol=0, atol=0)
    assert lengths == [(4, 4), (4, 4), (2, 2)]


def test_a_single_call_copies_nothing():
    points = torch.rand(4, 3)
    assert in_calls(lambda x: x, points, size=4) is points


def test_no_point_gives_the_results_shape():
    assert in_calls(lambda x: x.new_zeros(len(x), 7), torch.zeros(0, 3), size=4).shape == (0, 7)


def test_gradients_pass():
    points = torch.rand(5, requires_grad=True)
    in_calls(torch.sin, points, size=2).sum().backward()
    torch.testing.assert_close(points.grad, points.detach().cos())


@pytest.mark.usefixtures("without_type_checker")
def test_lengths_that_differ_and_no_size_are_refused():
    with pytest.raises(ValueError, match=r"one length, got \[4, 3\]"):
        in_calls(torch.add, torch.zeros(4), torch.zeros(3), size=2)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        in_calls(torch.sin, torch.zeros(4), size=0)


def test_sizes_by_device():
    assert call_size(torch.device("cpu"), cpu=3, cuda=5) == 3
    assert call_size(torch.device("cuda", 1), cpu=3, cuda=5) == 5
    assert call_size(torch.device("meta"), cpu=3, cuda=5) == 3
