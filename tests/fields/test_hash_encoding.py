"""The hash encoding as a module."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.hash_encoding import HashEncoding, HashEncodingConfig
from nerf_plugins.ops import hash_encode

SMALL = HashEncodingConfig(n_levels=3, base_resolution=4, max_resolution=16, log2_table_size=9)


def positions(n: int = 50) -> torch.Tensor:
    return torch.rand(n, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_cube_from_minus_one_to_one():
    encoding = HashEncoding(SMALL)
    corners = torch.tensor([[-1.0, -1, -1], [1, 1, 1], [0, 0, 0]])
    expected = hash_encode(torch.tensor([[0.0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5]]), encoding.table, SMALL.levels())
    assert torch.equal(encoding(corners), expected)
    assert encoding.width == expected.shape[1] == 6


def test_the_table_starts_small_and_is_all_that_is_saved():
    encoding = HashEncoding(HashEncodingConfig(log2_table_size=12))
    assert list(encoding.state_dict()) == ["table"]
    assert 0.9e-4 < float(encoding.table.detach().abs().max()) <= 1e-4
    assert abs(float(encoding.table.detach().mean())) < 1e-6


@pytest.mark.parametrize("interpolation", ["linear", "smoothstep"])
def test_backward_is_the_gradient(interpolation):
    encoding = HashEncoding(HashEncodingConfig(3, 4, 16, 9, interpolation=interpolation))
    torch.nn.init.normal_(encoding.table)
    x = positions().requires_grad_()
    grad = torch.randn(50, 6)
    (expected,) = torch.autograd.grad(encoding(x), x, grad)
    assert torch.equal(encoding.backward(x, grad), expected)
    step, direction = 1e-3, torch.nn.functional.normalize(torch.randn(50, 3), dim=-1)
    difference = (encoding(x + step * direction) - encoding(x - step * direction)) / (2 * step)
    # Where the step stays in one cell of each level, the difference is the derivative.
    error = ((difference * grad).sum(-1) - (expected * direction).sum(-1)).abs() / expected.norm(dim=-1)
    assert error.median() < 0.01


def test_fewer_active_levels():
    encoding = HashEncoding(SMALL)
    everything = encoding(positions())
    encoding.n_active_levels = 1
    features = encoding(positions())
    assert torch.equal(features[:, :2], everything[:, :2])
    assert not features[:, 2:].any()


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    "options",
    [{"n_features": 3}, {"n_levels": 0}, {"max_resolution": 8}, {"log2_table_size": 30}, {"base_resolution": 0}],
)
def test_bad_options_are_refused(options: dict):
    with pytest.raises(InputError, match=f"hash encoding: .*{next(iter(options))}"):
        HashEncodingConfig(**options)


def test_tcnn_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "tinycudann", None)
    with pytest.raises(InputError, match="tinycudann"):
        HashEncoding(HashEncodingConfig(implementation="tcnn"))
