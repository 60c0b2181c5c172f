"""The ops on CUDA: the same as on the CPU, and no host sync in a training step."""

import contextlib

import pytest
import torch

from nerf_plugins.ops import (
    PackedSamples,
    blend_background,
    composite,
    empty_blocks,
    march_grid,
    sample_pdf,
    trace_distance_grid,
)

from ..ops import reference
from ..ops.cases import MARCH_CASES, Packed, random_march_problem, random_packed

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

DIFFERENTIABLE = ("rgb", "accumulation", "depth", "weights")


def cuda(values: dict) -> dict:
    return {name: value.cuda() if isinstance(value, torch.Tensor) else value for name, value in values.items()}


@contextlib.contextmanager
def no_host_sync():
    """Fail at whatever makes the host wait for the device."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def gradients(packed: Packed, grads: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    sigmas, rgbs = packed.sigmas.clone().requires_grad_(), packed.rgbs.clone().requires_grad_()
    out = composite(sigmas, rgbs, *packed[2:])
    torch.autograd.backward([getattr(out, name) for name in DIFFERENTIABLE], grads)
    return sigmas.grad, rgbs.grad


@pytest.mark.parametrize("case", MARCH_CASES, ids=lambda case: case.name)
def test_march_by_hand(case):
    samples = march_grid(**cuda(case.tensors()), jitter=torch.tensor([case.jitter]).cuda(), **case.steps)
    expected = torch.tensor(case.edges, dtype=torch.float32).reshape(-1, 2)
    torch.testing.assert_close(torch.stack([samples.t_starts, samples.t_ends], dim=-1).cpu(), expected)


@pytest.mark.parametrize("levels", [1, 4])
@pytest.mark.parametrize("cone_angle", [0.0, 0.02])
def test_march_matches_the_reference(generator, levels, cone_angle):
    problem = random_march_problem(
        generator, 60, levels=levels, resolution=(16, 5, 9), n_steps=40, density=0.2, cone_angle=cone_angle
    )
    samples = march_grid(**cuda(problem.arguments()), **problem.steps)
    assert samples.t_starts.is_cuda
    assert reference.assert_same_samples(samples, **problem.arguments(), **problem.steps) < 0.03


@pytest.mark.parametrize("cone_angle", [0.0, 0.02])
def test_march_matches_the_cpu(generator, cone_angle):
    """Ray by ray; where the two differ, each must still be right outside the named band."""
    problem = random_march_problem(
        generator, 5000, levels=3, resolution=(16, 16, 16), n_steps=100, cone_angle=cone_angle
    )
    on_cpu = march_grid(**problem.arguments(), **problem.steps)
    on_cuda = PackedSamples(*(value.cpu() for value in march_grid(**cuda(problem.arguments()), **problem.steps)))
    same = [ray for ray in range(5000) if torch.allclose(*rays_edges(ray, on_cpu, on_cuda), rtol=1e-5, atol=1e-5)]
    different = sorted(set(range(5000)) - set(same))
    assert len(different) < 250
    some = {name: value[different] for name, value in problem.rays.items()}
    for rays, move in ((some, dict), (cuda(some), cuda)):
        samples = march_grid(**rays, **move({"occupancy": problem.occupancy, "aabb": problem.aabb}), **problem.steps)
        reference.assert_same_samples(samples, **some, occupancy=problem.occupancy, aabb=problem.aabb, **problem.steps)


@pytest.mark.parametrize("cone_angle", [0.0, 0.02])
def test_empty_blocks_change_no_sample(generator, cone_angle):
    problem = random_march_problem(
        generator, 500, levels=3, resolution=(48, 30, 33), n_steps=300, density=0.01, cone_angle=cone_angle
    )
    blocks = empty_blocks(problem.occupancy.cuda())
    assert torch.equal(blocks.cpu(), empty_blocks(problem.occupancy))
    plain = march_grid(**cuda(problem.arguments()), **problem.steps)
    jumping = march_grid(**cuda(problem.arguments()), **problem.steps, empty_blocks=blocks)
    assert all(torch.equal(a, b) for a, b in zip(plain, jumping, strict=True))


def rays_edges(ray: int, *several) -> list[torch.Tensor]:
    """One ray's edges in each; of no length the same if the counts differ, so that allclose is False."""
    rows = [samples.packed_info[ray].tolist() for samples in several]
    if len({count for _, count in rows}) > 1:
        return [torch.tensor(float(index)) for index in range(len(rows))]
    return [
        torch.stack([s.t_starts[start : start + count], s.t_ends[start : start + count]])
        for s, (start, count) in zip(several, rows, strict=True)
    ]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.5])
def test_capacity(generator, share):
    problem = random_march_problem(generator, 500, n_steps=60)
    arguments = cuda(problem.arguments())
    exact = march_grid(**arguments, **problem.steps)
    capacity = int(share * len(exact.t_starts))
    samples = march_grid(**arguments, **problem.steps, capacity=capacity)
    counts = exact.packed_info[:, 1]
    fits = counts.cumsum(0) <= capacity
    assert torch.equal(samples.packed_info[:, 1], torch.where(fits, counts, 0).int())
    assert samples.n_dropped_rays.item() == int((~fits & (counts > 0)).sum())
    total = int(samples.packed_info[:, 1].sum())
    for mine, everything in zip(samples[:3], exact[:3], strict=True):
        assert len(mine) == capacity
        assert torch.equal(mine[:total], everything[:total])
        assert not mine[total:].any()


def test_march_is_deterministic(generator):
    problem = random_march_problem(generator, 20_000, n_steps=100)
    arguments = cuda(problem.arguments())
    first = march_grid(**arguments, **problem.steps, capacity=400_000)
    for _ in range(3):
        again = march_grid(**arguments, **problem.steps, capacity=400_000)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("optical_depth", [0.3, 30.0])
@pytest.mark.parametrize("early_stop_eps", [0.0, 1e-3])
def test_composite_matches_the_cpu(generator, optical_depth, early_stop_eps):
    counts = torch.randint(0, 100, (300,), generator=generator).tolist()
    packed = random_packed(generator, [*counts, 0, 1, 1500], optical_depth=optical_depth)
    transmittance = reference.composite(*packed.double()).transmittance
    assert not early_stop_eps or ((transmittance / early_stop_eps - 1).abs() > 1e-6).all()
    on_cpu = composite(*packed, early_stop_eps=early_stop_eps)
    on_cuda = composite(*Packed(*(value.cuda() for value in packed)), early_stop_eps=early_stop_eps)
    for name in (*DIFFERENTIABLE, "median_depth"):
        torch.testing.assert_close(getattr(on_cuda, name).cpu(), getattr(on_cpu, name), rtol=1e-5, atol=1e-7)


def test_composite_gradients_match_the_cpu(generator):
    counts = torch.randint(0, 100, (300,), generator=generator).tolist()
    packed = random_packed(generator, counts)
    on_device = Packed(*(value.cuda() for value in packed))
    out = composite(*packed)
    grads = [torch.randn(getattr(out, name).shape, generator=generator) for name in DIFFERENTIABLE]
    on_cpu, on_cuda = gradients(packed, grads), gradients(on_device, [grad.cuda() for grad in grads])
    again = gradients(on_device, [grad.cuda() for grad in grads])
    for a, b, c in zip(on_cuda, on_cpu, again, strict=True):
        a = a.cpu()
        assert abs(float(a.norm() / b.norm()) - 1) < 1e-5
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))
        assert torch.equal(a, c.cpu())


def test_sample_pdf_matches_the_cpu(generator):
    packed = random_packed(generator, torch.randint(0, 60, (300,), generator=generator).tolist())
    weights, u = torch.rand(len(packed.sigmas), generator=generator) + 0.1, torch.rand(300, 32, generator=generator)
    arguments = (packed.t_starts, packed.t_ends, weights, packed.packed_info, u)
    on_cpu, on_cuda = sample_pdf(*arguments), sample_pdf(*(value.cuda() for value in arguments)).cpu()
    # At the border of two intervals the cdf may fall to either side of the gap between them.
    assert (~torch.isclose(on_cuda, on_cpu, rtol=1e-4, atol=1e-4)).float().mean() < 1e-3


def test_tracing_a_distance_grid_matches_the_cpu(generator):
    n = 4000
    axis = torch.linspace(-1.0, 1.0, 33)
    distances = (torch.cartesian_prod(axis, axis, axis).norm(dim=-1) - 0.5).view(33, 33, 33)
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    origins = 0.5 * torch.randn(n, 3, generator=generator) - 2.0 * directions
    box, starts, ends = torch.tensor([[-1.0] * 3, [1.0] * 3]), torch.zeros(n), torch.full((n,), 4.0)
    arguments = [distances, box, origins, directions, starts, ends]
    on_cpu = trace_distance_grid(*arguments, near=0.1)
    on_cuda = trace_distance_grid(*(value.cuda() for value in arguments), near=0.1)
    assert (on_cuda.ends.cpu() != on_cpu.ends).float().mean() < 1e-3  # rounding, where a ray just so comes near
    both = (on_cpu.t < torch.inf) & (on_cuda.t.cpu() < torch.inf)
    torch.testing.assert_close(on_cuda.t.cpu()[both], on_cpu.t[both], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(on_cuda.slopes.cpu()[both], on_cpu.slopes[both], rtol=1e-2, atol=1e-2)


def test_a_training_step_has_no_host_sync(generator):
    problem = random_march_problem(generator, 2000, n_steps=60)
    arguments, background = cuda(problem.arguments()), torch.ones(3).cuda()
    scale = torch.ones((), device="cuda", requires_grad=True)

    def step():
        samples = march_grid(**arguments, **problem.steps, capacity=50_000)
        sigmas = scale * (1 + samples.t_starts)
        rgbs = torch.sigmoid(torch.stack([sigmas, samples.t_ends, samples.t_starts], dim=-1))
        out = composite(sigmas, rgbs, samples.t_starts, samples.t_ends, samples.packed_info, early_stop_eps=1e-4)
        rgb = blend_background(out.rgb, out.accumulation, background)
        (rgb.square().mean() + out.depth.mean() + out.weights.mean()).backward()
        return samples

    step()  # compiles
    with no_host_sync():
        samples = step()
        u = torch.full((2000, 16), 0.5, device="cuda")
        sample_pdf(samples.t_starts, samples.t_ends, torch.ones_like(samples.t_starts), samples.packed_info, u)
    assert torch.isfinite(scale.grad)


def test_ops_run_on_the_current_stream(generator):
    """Work queued on another stream is seen by the next op on that stream, without a wait in between."""
    packed = Packed(*(value.cuda() for value in random_packed(generator, [40] * 2000)))
    expected = composite(packed.sigmas * 2, *packed[1:]).rgb
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        rgb = composite(packed.sigmas * 2, *packed[1:]).rgb * 1
    stream.synchronize()
    assert torch.equal(rgb, expected)


@pytest.mark.usefixtures("without_type_checker")
@pytest.mark.parametrize("name", ["directions", "nears", "fars", "occupancy", "jitter"])
def test_mixed_devices(generator, name):
    problem = random_march_problem(generator, 10)
    arguments = {**cuda(problem.arguments()), name: problem.arguments()[name]}
    with pytest.raises(ValueError, match=rf"(?s){name}.*cpu"):
        march_grid(**arguments, **problem.steps)


def test_nothing_to_do():
    empty = torch.zeros(0, device="cuda")
    packed_info = torch.zeros(3, 2, dtype=torch.int32, device="cuda")
    out = composite(empty.requires_grad_(), torch.zeros(0, 3, device="cuda"), empty, empty, packed_info)
    assert out.rgb.shape == (3, 3)
    assert not out.rgb.any()
    out.rgb.sum().backward()
    for capacity in (None, 0, 5):
        samples = march_grid(
            torch.zeros(0, 3, device="cuda"),
            torch.zeros(0, 3, device="cuda"),
            empty.detach(),
            empty.detach(),
            torch.ones(1, 2, 2, 2, dtype=torch.bool, device="cuda"),
            torch.tensor([[-1.0, -1, -1], [1, 1, 1]], device="cuda"),
            step_size=0.1,
            capacity=capacity,
        )
        assert samples.t_starts.shape == (capacity or 0,)
