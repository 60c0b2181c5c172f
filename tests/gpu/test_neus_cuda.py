"""NeuS on CUDA: the same as on the CPU, and no host sync in a training step."""

import pytest
import torch

from nerf_plugins.fields.neus_mlp import NeuSMLP, NeuSMLPConfig
from nerf_plugins.fields.sdf import Geometry, SDFField, Surface
from nerf_plugins.ops import pack_sections, sdf_optical_depths
from nerf_plugins.rays import Points, Rays
from nerf_plugins.samplers.base import Sampler
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.ray_budget import RayBudgetConfig
from nerf_plugins.samplers.surface import SurfaceSampler, SurfaceSamplerConfig
from nerf_plugins.samplers.upsampling import UpSamplingSampler, UpSamplingSamplerConfig
from nerf_plugins.spaces import CubeSpace

from ..models.common import make_bundle, rgba_batch
from ..models.test_neus import make_model
from .test_ops_cuda import no_host_sync

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

AABB = torch.tensor([[-1.0] * 3, [1.0] * 3])


class Sphere(SDFField):
    """A ball of radius 1/2."""

    def sdf(self, points: Points) -> torch.Tensor:
        return points.positions.norm(dim=-1) - 0.5

    def geometry(self, points: Points) -> Geometry:
        raise NotImplementedError

    def color(self, points: Points, geometry: Geometry) -> torch.Tensor:
        raise NotImplementedError


def no_other_field() -> SDFField:
    raise AssertionError("these samplers have no field of their own")


def ball(device: str) -> Surface:
    return Surface(Sphere(), torch.tensor(300.0, device=device))


def rays_on(device: str, n: int = 500) -> Rays:
    bundle = make_bundle(n)
    return CubeSpace(AABB).to(device).rays(bundle.to(device), 0.05, 1e3)


def samplers_on(device: str, **budget) -> list[Sampler[Surface]]:
    grid = OccupancyGridConfig(resolution=32)
    config = SurfaceSamplerConfig(grid=grid, budget=RayBudgetConfig(**budget), steps_per_diagonal=128)
    space = CubeSpace(AABB)
    surface = SurfaceSampler(config, space, no_other_field)
    surface.march.set_step(10**6)
    centres = (torch.stack(torch.meshgrid(*[torch.arange(32)] * 3, indexing="ij"), dim=-1) + 0.5) / 16 - 1
    surface.march.grid.occupied.copy_((centres.norm(dim=-1) - 0.5).abs()[None] < 0.1)
    return [surface.to(device), UpSamplingSampler(UpSamplingSamplerConfig(), space, no_other_field).to(device)]


@pytest.mark.parametrize("capacity", [None, 0, 1000, 10_000])
def test_pack_sections_is_the_same(generator, capacity):
    edges = torch.rand(400, 33, generator=generator).cumsum(-1)
    arguments = edges[:, :-1], edges[:, 1:], torch.rand(400, 32, generator=generator) < 0.3
    on_cpu = pack_sections(*arguments, capacity=capacity)
    on_cuda = pack_sections(*(value.cuda() for value in arguments), capacity=capacity)
    assert all(torch.equal(a, b.cpu()) for a, b in zip(on_cpu, on_cuda, strict=True))


@pytest.mark.parametrize("inv_s", [20.0, 1e3, 1e6])
def test_optical_depths_and_their_gradients_are_the_same(generator, inv_s):
    values = torch.rand(3, 2000, generator=generator)
    results = []
    for device in ("cpu", "cuda"):
        sections = [
            (value * scale - shift).to(device).requires_grad_()
            for value, scale, shift in zip(values, (0.2, 2.0, 0.05), (0.1, 1.5, 0.0))
        ]
        sharpness = torch.tensor(inv_s, device=device, requires_grad=True)
        depths = sdf_optical_depths(*sections, sharpness, progress=0.3)
        (1 - torch.exp(-depths)).sum().backward()
        results.append([value.cpu() for value in (depths.detach(), *(x.grad for x in (*sections, sharpness)))])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5 * float(a.abs().max()))


def test_the_field_is_the_same(generator):
    torch.manual_seed(0)
    field = NeuSMLP(NeuSMLPConfig(precision="fp32"))
    positions = torch.rand(1000, 3, generator=generator) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(1000, 3, generator=generator), dim=-1)
    points = Points(positions, directions=directions)
    expected = field.geometry(points)
    colours = field.color(points, expected)
    on_cuda = Points(positions.cuda(), directions=directions.cuda())
    geometry = field.cuda().geometry(on_cuda)
    for a, b in zip((*geometry, field.color(on_cuda, geometry)), (*expected, colours)):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("which", [0, 1], ids=["surface", "upsampling"])
def test_samplers_draw_the_same_for_pictures(which):
    on_cpu = samplers_on("cpu")[which].sample(rays_on("cpu"), ball("cpu"), stratified=False).samples
    on_cuda = samplers_on("cuda")[which].sample(rays_on("cuda"), ball("cuda"), stratified=False).samples
    a, b = on_cpu.packed_info[:, 1], on_cuda.packed_info[:, 1].cpu()
    assert ((a - b).abs() > 1).float().mean() < 0.02
    same = [ray for ray in range(500) if a[ray] == b[ray]]
    assert len(same) > 450
    off = [
        (on_cpu.t_starts[s : s + n] - on_cuda.t_starts.cpu()[t : t + n]).abs()
        for (s, n), (t, _) in zip(on_cpu.packed_info[same].tolist(), on_cuda.packed_info.cpu()[same].tolist())
    ]
    assert (torch.cat(off) > 1e-3).float().mean() < 0.02


@pytest.mark.parametrize("which", [0, 1], ids=["surface", "upsampling"])
def test_sampling_in_training_has_no_host_sync(which):
    sampler, rays = samplers_on("cuda", samples_per_batch=1 << 14)[which], rays_on("cuda")
    scene = ball("cuda")
    sampler.sample(rays, scene, stratified=True)  # compiles
    with no_host_sync():
        samples = sampler.sample(rays, scene, stratified=True).samples
    assert samples.packed_info[:, 1].sum() > 500


def test_rays_that_find_no_room_in_the_march_are_counted():
    sampler, rays = samplers_on("cuda", samples_per_batch=1 << 14, capacity=1000)[0], rays_on("cuda")
    samples = sampler.sample(rays, ball("cuda"), stratified=True).samples
    full = samplers_on("cuda")[0].sample(rays, ball("cuda"), stratified=True).samples
    lost = (samples.packed_info[:, 1] == 0) & (full.packed_info[:, 1] > 0)
    assert samples.n_dropped_rays > 0
    assert samples.n_dropped_rays <= lost.sum()


@pytest.mark.parametrize("name", ["surface", "upsampling"])
def test_a_training_step_is_finite_and_padding_changes_nothing(name):
    model = make_model(sampler=name).cuda().train()
    batch = {key: value.cuda() for key, value in rgba_batch().items()}
    outputs = model(make_bundle().to("cuda"))
    torch.stack(list(model.get_loss_dict(outputs, batch).values())).sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(grad.isfinite().all() for grad in gradients)
    rays = model._rays(make_bundle().to("cuda"))
    samples = model.sampler.sample(rays, model.scene, stratified=True).samples
    n = int(samples.packed_info[:, 1].sum())
    cut = samples._replace(**{key: getattr(samples, key)[:n] for key in samples._fields[:3]})
    whole, exact = (model._render_training(rays, these, model.variance()) for these in (samples, cut))
    torch.testing.assert_close(whole[2]["eikonal_error"], exact[2]["eikonal_error"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(whole[0].rgb, exact[0].rgb, rtol=1e-3, atol=1e-4)
