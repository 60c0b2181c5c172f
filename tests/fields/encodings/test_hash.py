"""The hash encoding as a module."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import HashEncoding, HashEncodingConfig
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_every_precision_learns_in_float32(precision, dtype):
    encoding = HashEncoding(HashEncodingConfig(3, 4, 16, 9, precision=precision))
    torch.nn.init.normal_(encoding.table)
    x = positions().requires_grad_()
    features = encoding(x, dtype)
    gradients = encoding.backward(x, torch.ones_like(features))
    (features.float().sum() + gradients.square().sum()).backward()
    assert (encoding.table.dtype, features.dtype, gradients.dtype) == (torch.float32, dtype, torch.float32)
    assert encoding.table.grad.dtype == torch.float32
    assert encoding.table.grad.any()
    # Steps smaller than a half number's last place are not lost, and every forward reads the table as it then is.
    for _ in range(200):
        encoding.table.data.add_(1e-4)
    rise = (encoding(positions(), dtype).float() - features.detach().float()).mean()
    assert 0.018 < float(rise) < 0.022


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_the_precision_is_that_of_the_table_as_it_is_read(precision, dtype):
    encoding = HashEncoding(HashEncodingConfig(3, 4, 16, 9, precision=precision))
    torch.nn.init.normal_(encoding.table)
    exact = HashEncoding(SMALL)
    exact.table.data = encoding.table.detach().to(dtype).float()
    grad = torch.randn(50, 6)
    torch.testing.assert_close(encoding(positions()), exact(positions()))
    torch.testing.assert_close(encoding.backward(positions(), grad), exact.backward(positions(), grad))


def test_precisions_share_a_checkpoint():
    single, half = HashEncoding(SMALL), HashEncoding(HashEncodingConfig(3, 4, 16, 9, precision="fp16"))
    half.load_state_dict(single.state_dict())
    assert half.table.dtype == torch.float32
    torch.testing.assert_close(half(positions()), single(positions()), rtol=1e-3, atol=1e-7)


def test_tcnn_has_no_half_precision_of_ours():
    with pytest.raises(InputError, match="precision bf16 needs implementation 'warp'"):
        HashEncodingConfig(implementation="tcnn", precision="bf16")


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize(
    "options",
    [
        {"n_features": 3},
        {"n_levels": 0},
        {"max_resolution": 8},
        {"log2_table_size": 30},
        {"base_resolution": 0},
        {"precision": "fp8"},
    ],
)
def test_bad_options_are_refused(options: dict):
    with pytest.raises(InputError, match=f"hash encoding: .*{next(iter(options))}"):
        HashEncodingConfig(**options)


def test_tcnn_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "tinycudann", None)
    with pytest.raises(InputError, match="tinycudann"):
        HashEncoding(HashEncodingConfig(implementation="tcnn"))
