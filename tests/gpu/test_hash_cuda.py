"""The hash encoding on CUDA: as on the CPU, without host sync, and as tiny-cuda-nn's where that is installed."""

import copy

import pytest
import torch

from nerf_plugins.fields.encodings import HashEncoding, HashEncodingConfig
from nerf_plugins.fields.graphed import GraphedField
from nerf_plugins.fields.nerf_hash import NeRFHash, NeRFHashConfig
from nerf_plugins.ops import HashLevels, hash_encode, hash_levels
from nerf_plugins.rays import Points

from .test_ops_cuda import no_host_sync

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

SHAPE = (8, 16, 512, 14)
HALVES = [torch.float16, torch.bfloat16]
DTYPES = [  # what the table is read in, and what the features have
    (torch.float32, torch.float32),
    (torch.float16, torch.float16),
    (torch.bfloat16, torch.bfloat16),
    (torch.float16, torch.bfloat16),
    (torch.float32, torch.bfloat16),
]


def cuda_levels() -> HashLevels:
    return HashLevels(*(value.cuda() for value in hash_levels(*SHAPE)))


def random_tensors(generator: torch.Generator, levels: HashLevels, n: int, n_features: int) -> dict[str, torch.Tensor]:
    return {
        "positions": torch.rand(n, 3, generator=generator) * 1.02 - 0.01,
        "table": torch.randn(int(levels.offsets[-1]), n_features, generator=generator),
        "grad": torch.randn(n, 8 * n_features, generator=generator),
        "along": torch.randn(n, 3, generator=generator),
    }


def derivatives(tensors: dict, levels: HashLevels, smoothstep: bool, **dtypes: torch.dtype) -> list[torch.Tensor]:
    """Features, gradients, and the gradients of the position gradient."""
    x, table, grad = (tensors[name].detach().requires_grad_() for name in ("positions", "table", "grad"))
    features = hash_encode(x, table, levels, n_active_levels=6, smoothstep=smoothstep, **dtypes)
    of_x, of_table = torch.autograd.grad(features, (x, table), grad, create_graph=True)
    return [features, of_x, of_table, *torch.autograd.grad(of_x, (x, table, grad), tensors["along"])]


def wrong(mine: torch.Tensor, expected: torch.Tensor, tolerance: float) -> float:
    """The part that is off by more than the tolerance, of the largest, and mine's rounding."""
    rounding = 0.0 if mine.dtype == torch.float32 else torch.finfo(mine.dtype).eps
    mine, expected = mine.float().cpu(), expected.float().cpu()
    error = (mine - expected).abs()
    return float((error > tolerance * expected.abs().max() + rounding * expected.abs()).float().mean())


@pytest.mark.parametrize(("table_dtype", "features_dtype"), DTYPES)
@pytest.mark.parametrize("smoothstep", [False, True])
@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
def test_matches_the_cpu(generator, n_features, smoothstep, table_dtype, features_dtype):
    levels, dtypes = hash_levels(*SHAPE), {"table_dtype": table_dtype, "features_dtype": features_dtype}
    tensors = random_tensors(generator, levels, 20_001, n_features)
    tensors["grad"] = tensors["grad"].to(features_dtype)
    on_cpu = derivatives(tensors, levels, smoothstep, **dtypes)
    on_cuda = derivatives({k: v.cuda() for k, v in tensors.items()}, cuda_levels(), smoothstep, **dtypes)
    for cpu, cuda in zip(on_cpu, on_cuda, strict=True):
        assert cuda.is_cuda
        assert cuda.dtype == cpu.dtype
        # A position on the border of two cells may fall to either side, where derivatives jump.
        assert wrong(cuda, cpu, 1e-4) < 1e-3


@pytest.mark.parametrize(("table_dtype", "features_dtype"), DTYPES[1:])
@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
def test_half_is_float32_on_the_rounded_table(generator, n_features, table_dtype, features_dtype):
    levels = cuda_levels()
    tensors = {k: v.cuda() for k, v in random_tensors(generator, levels, 20_001, n_features).items()}
    tensors["grad"] = tensors["grad"].to(features_dtype)
    half = derivatives(tensors, levels, True, table_dtype=table_dtype, features_dtype=features_dtype)
    rounded = {"table": tensors["table"].to(table_dtype).float(), "grad": tensors["grad"].float()}
    assert [tensor.dtype for tensor in half] == [features_dtype] + [torch.float32] * 4 + [features_dtype]
    for got, expected in zip(half, derivatives(tensors | rounded, levels, True), strict=True):
        assert wrong(got, expected, 1e-5) == 0


@pytest.mark.parametrize("dtype", HALVES)
def test_no_addition_to_the_table_is_lost(dtype):
    """A sum in half precision would stop growing at 2,048 or 256."""
    n, levels = 30_000, cuda_levels()
    theta = torch.zeros(int(levels.offsets[-1]), 2, device="cuda", requires_grad=True)
    positions = torch.full((n, 3), 0.5, device="cuda")
    hash_encode(positions, theta, levels, table_dtype=dtype, features_dtype=dtype).sum().backward()
    assert theta.grad.dtype == torch.float32
    assert float(theta.grad.max()) == n


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_step_has_no_host_sync(generator, precision):
    encoding = HashEncoding(HashEncodingConfig(*SHAPE, precision=precision)).cuda()
    positions = torch.rand(5000, 3, generator=generator).cuda().requires_grad_()

    def step() -> None:
        features = encoding(positions, torch.bfloat16)
        gradients = encoding.backward(positions, torch.ones_like(features))
        (features.float().sum() + gradients.square().sum()).backward()

    step()  # compiles
    with no_host_sync():
        step()
    assert encoding.table.grad.isfinite().all()


def test_a_replayed_field_has_the_same_values_and_gradients(generator):
    eager = NeRFHash(NeRFHashConfig(encoding=HashEncodingConfig(*SHAPE))).cuda()
    replayed = GraphedField(copy.deepcopy(eager))
    for _ in range(3):  # the first call records
        positions = (torch.rand(4096, 3, generator=generator) * 2 - 1).cuda()
        directions = torch.nn.functional.normalize(torch.randn(4096, 3, generator=generator), dim=-1).cuda()
        results = []
        for call, field in ((eager, eager), (replayed, replayed.field)):
            field.zero_grad()
            x = positions.clone().requires_grad_()
            densities, colors = call(Points(x, directions=directions))
            (densities.square().mean() + colors.square().mean()).backward()
            results.append([densities, colors, x.grad, *[p.grad for p in field.parameters()]])
        for expected, got in zip(*results, strict=True):
            torch.testing.assert_close(got, expected, rtol=2e-2, atol=2e-2 * float(expected.abs().max()))


@pytest.mark.parametrize("interpolation", ["linear", "smoothstep"])
@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
def test_agrees_with_tiny_cuda_nn(generator, n_features, interpolation):
    pytest.importorskip("tinycudann")
    options = {"n_features": n_features, "interpolation": interpolation}
    ours = HashEncoding(HashEncodingConfig(*SHAPE, **options)).cuda()
    torch.nn.init.normal_(ours.table)
    theirs = HashEncoding(HashEncodingConfig(*SHAPE, **options, implementation="tcnn")).cuda()
    theirs.load_state_dict(ours.state_dict())
    positions = (torch.rand(20_000, 3, generator=generator) * 2 - 1).cuda()
    grad = torch.randn(20_000, ours.width, generator=generator).cuda()
    results = []
    for encoding in (ours, theirs):
        x = positions.clone().requires_grad_()
        features = encoding(x)
        gradients = encoding.backward(x, grad)
        torch.autograd.backward([features, gradients], [grad, torch.ones_like(gradients)])
        results.append([features, gradients, encoding.table.grad])
    for mine, other in zip(*results, strict=True):
        wrong = (
            mine - other.to(mine.dtype)
        ).abs() > 2e-3 * mine.abs().max()  # the resolutions of the levels differ by rounding
        assert wrong.float().mean() < 2e-3
