"""What every encoding promises."""

import pytest
import torch

from nerf_plugins.fields.encodings import ENCODINGS, Encoding, HashEncodingConfig

PLANES = {"n_features": 8, "start_resolution": 4, "resolution": 8}
SMALL = {
    "hash": {"n_levels": 2, "base_resolution": 4, "max_resolution": 8, "log2_table_size": 8},
    "tensor": PLANES,
    "k-planes": PLANES,
}


def make(name: str) -> Encoding:
    torch.manual_seed(0)
    encoding = ENCODINGS[name](**SMALL.get(name, {})).setup()
    with torch.no_grad():
        for parameter in encoding.parameters():  # a fresh hash table is nearly nothing
            parameter.normal_()
    return encoding


def coordinates(encoding: Encoding) -> torch.Tensor:
    d = getattr(encoding, "n_inputs", 3)
    x = torch.rand(5, d, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9
    return torch.nn.functional.normalize(x, dim=-1) * 0.9 if d == 3 else x


NAMES = [name for name in ENCODINGS if name != "windowed"]  # its coordinates are as many as its maker says


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_width_and_dtype(name: str, dtype: torch.dtype):
    encoding = make(name)
    features = encoding(coordinates(encoding), dtype)
    assert features.shape == (5, encoding.width)
    assert features.dtype == dtype


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("with_autograd", [True, False])
def test_backward_is_autograds(name: str, with_autograd: bool):
    encoding = make(name)
    x = coordinates(encoding).requires_grad_()
    grad = torch.rand(5, encoding.width, generator=torch.Generator().manual_seed(2))
    (expected,) = torch.autograd.grad(encoding(x), x, grad)
    with torch.set_grad_enabled(with_autograd):
        found = encoding.backward(x.detach(), grad)
    torch.testing.assert_close(found.detach(), expected, rtol=1e-4, atol=1e-5)


def test_levels_join_with_progress():
    encoding = HashEncodingConfig(
        n_levels=4, start_levels=2, base_resolution=2, max_resolution=8, log2_table_size=8
    ).setup()
    for progress, levels in ((0.0, 2), (0.33, 2), (0.34, 3), (0.67, 4), (0.9999, 4), (1.0, 4)):
        encoding.set_progress(progress)
        assert (encoding.n_active_levels, encoding.stage) == (levels, levels)
