"""The hash encoding on CUDA: as on the CPU, without host sync, and as tiny-cuda-nn's where that is installed."""

import pytest
import torch

from nerf_plugins.fields.hash_encoding import HashEncoding, HashEncodingConfig
from nerf_plugins.ops import HashLevels, hash_encode, hash_levels

from .test_ops_cuda import no_host_sync

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

SHAPE = (8, 16, 512, 14)


def derivatives(tensors: dict, levels: HashLevels, smoothstep: bool) -> list[torch.Tensor]:
    """Features, gradients, and the gradients of the position gradient."""
    x, table, grad = (tensors[name].detach().requires_grad_() for name in ("positions", "table", "grad"))
    features = hash_encode(x, table, levels, n_active_levels=6, smoothstep=smoothstep)
    of_x, of_table = torch.autograd.grad(features, (x, table), grad, create_graph=True)
    return [features, of_x, of_table, *torch.autograd.grad(of_x, (x, table, grad), tensors["along"])]


@pytest.mark.parametrize("smoothstep", [False, True])
@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
def test_matches_the_cpu(generator, n_features, smoothstep):
    levels, n = hash_levels(*SHAPE), 20_001
    tensors = {
        "positions": torch.rand(n, 3, generator=generator) * 1.02 - 0.01,
        "table": torch.randn(int(levels.offsets[-1]), n_features, generator=generator),
        "grad": torch.randn(n, 8 * n_features, generator=generator),
        "along": torch.randn(n, 3, generator=generator),
    }
    on_cpu = derivatives(tensors, levels, smoothstep)
    on_cuda = HashLevels(*(value.cuda() for value in levels))
    for cpu, cuda in zip(
        on_cpu, derivatives({k: v.cuda() for k, v in tensors.items()}, on_cuda, smoothstep), strict=True
    ):
        assert cuda.is_cuda
        # A position on the border of two cells may fall to either side, where derivatives jump.
        wrong = (cuda.cpu() - cpu).abs() > 1e-4 * cpu.abs().max()
        assert wrong.float().mean() < 1e-3


def test_a_step_has_no_host_sync(generator):
    encoding = HashEncoding(HashEncodingConfig(*SHAPE)).cuda()
    positions = torch.rand(5000, 3, generator=generator).cuda().requires_grad_()

    def step() -> None:
        features = encoding(positions)
        gradients = encoding.backward(positions, torch.ones_like(features))
        (features.sum() + gradients.square().sum()).backward()

    step()  # compiles
    with no_host_sync():
        step()
    assert encoding.table.grad.isfinite().all()


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
