import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import TensorEncodingConfig
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.fields.tensorf import TensoRFConfig
from nerf_plugins.rays import Rays
from nerf_plugins.samplers.hierarchical import HierarchicalSampler, HierarchicalSamplerConfig
from nerf_plugins.spaces import BoxSpace, ContractedSpace, Space

AABB = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def make_rays(n: int = 3) -> Rays:
    origins = torch.tensor([[0.1, 0.2, 3.0]]).repeat(n, 1)
    directions = torch.tensor([[0.0, 0.0, -1.0]]).repeat(n, 1)
    return Rays(origins, directions, torch.zeros(n), torch.full((n,), 100.0), directions, torch.ones(n), torch.zeros(n))


def make_sampler(space: Space, **options) -> HierarchicalSampler:
    field = NeRFMLPConfig(D=1, W=32, skips=())
    return HierarchicalSamplerConfig(**options).setup(space=space, make_field=field.setup)


def test_coarse_intervals_tile_the_box():
    sampler = make_sampler(BoxSpace(AABB), n_coarse=8, n_fine=4)
    samples = sampler.coarse(make_rays(), stratified=True)
    starts, ends = samples.t_starts.view(3, 8), samples.t_ends.view(3, 8)
    assert torch.allclose(starts[:, 0], torch.tensor(2.0))
    assert torch.allclose(ends[:, -1], torch.tensor(4.0))
    assert torch.equal(starts[:, 1:], ends[:, :-1])
    assert (ends > starts).all()
    assert samples.packed_info.tolist() == [[0, 8], [8, 8], [16, 8]]
    assert not torch.equal(starts[0], starts[1])


def test_fine_intervals_gather_where_the_weight_is():
    sampler = make_sampler(BoxSpace(AABB), n_coarse=8, n_fine=64)
    coarse = sampler.coarse(make_rays(1), stratified=False)
    weights = torch.zeros(8)
    weights[3] = 1.0
    fine = sampler.fine(coarse, weights, stratified=False)
    inside = (fine.t_starts >= coarse.t_starts[3]) & (fine.t_ends <= coarse.t_ends[3])
    assert len(fine.t_starts) == 8 + 64
    assert inside.sum() >= 64
    assert torch.equal(fine.t_starts[1:], fine.t_ends[:-1])


def test_the_coarse_fields_groups_are_its_own():
    """A coarse field of tensors has the tensors' rate, not that of the layers."""
    tensor = TensorEncodingConfig(n_features=2, start_resolution=4, resolution=4)
    coarse = TensoRFConfig(density_tensor=tensor, appearance_tensor=tensor)
    sampler = HierarchicalSamplerConfig().setup(space=BoxSpace(AABB), make_field=coarse.setup)
    groups, own = sampler.param_groups(), sampler.field.param_groups()
    assert {name: len(group) for name, group in groups.items()} == {name: len(group) for name, group in own.items()}
    assert set(groups) == {"tensors", "fields"}
    assert sum(map(len, groups.values())) == len(list(sampler.parameters()))


def test_a_ray_that_misses_the_box_has_intervals_without_width():
    rays = make_rays(1)._replace(origins=torch.tensor([[5.0, 5.0, 3.0]]))
    sampler = make_sampler(BoxSpace(AABB), n_coarse=4, n_fine=4)
    samples = sampler.coarse(rays, stratified=True)
    assert (samples.t_ends == samples.t_starts).all()


def test_unbounded_scenes_are_sampled_in_disparity():
    sampler = make_sampler(ContractedSpace(AABB), n_coarse=16, n_fine=4)
    samples = sampler.coarse(make_rays(1), stratified=False)
    assert torch.allclose(samples.t_ends[-1], torch.tensor(100.0), rtol=1e-3)
    assert samples.t_ends[7] < 4.0  # half of the samples within a hundredth of the range


def test_the_coarse_pass_is_rendered_from_a_field_of_its_own():
    sampler, rays = make_sampler(BoxSpace(AABB), n_coarse=8, n_fine=4), make_rays()
    other = NeRFMLPConfig(D=1, W=32, skips=()).setup()
    sampling = sampler.sample(rays, other, stratified=True)
    coarse = sampling.passes["coarse"]
    assert coarse.rgb.shape == (3, 3)
    coarse.rgb.sum().backward()
    assert all(parameter.grad is not None for parameter in sampler.field.parameters())
    assert all(parameter.grad is None for parameter in other.parameters())
    assert sampling.samples.packed_info[:, 1].tolist() == [12] * 3
    assert sampling.n_looked_at.tolist() == [8] * 3
    assert sampler.param_groups()["fields"] == list(sampler.field.parameters())
    assert sampler.parts().keys() == {"geometry", "color"}


def test_bad_options_are_named():
    with pytest.raises(InputError, match="n_coarse"):
        HierarchicalSamplerConfig(n_coarse=1)
