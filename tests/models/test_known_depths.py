"""The loss of rays whose depth is known."""

import math

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.models.known_depths import SPREAD, known_depth_loss
from nerf_plugins.models.nerf import NerfModelConfig
from nerf_plugins.ops import PackedSamples, pack_sections
from nerf_plugins.spaces import CubeSpace
from nerf_plugins.spaces.box import BoxSpace
from nerf_plugins.spaces.contracted import ContractedSpace

from .common import make_bundle, rgba_batch


def packed(edges: list[list[float]]) -> PackedSamples:
    edges_ = torch.tensor(edges)
    return pack_sections(edges_[:, :-1], edges_[:, 1:], torch.ones(edges_[:, 1:].shape, dtype=torch.bool))


def test_it_is_the_formula():
    """Two rays of two samples, the second of no known depth."""
    samples = packed([[0.9, 1.0, 1.1], [0.9, 1.0, 1.1]])
    weights, sigma = torch.tensor([0.2, 0.5, 0.3, 0.1]), SPREAD * 1.06
    near = [math.exp(-0.5 * ((m - 1.06) / sigma) ** 2) * 0.1 / sigma for m in (0.95, 1.05)]
    expected = -(math.log(0.2 + 1e-5) * near[0] + math.log(0.5 + 1e-5) * near[1])
    assert float(known_depth_loss(weights, samples, torch.tensor([1.06, 0.0]))) == pytest.approx(expected, rel=1e-4)
    assert float(known_depth_loss(weights, samples, torch.tensor([1.06, 1.06]))) == pytest.approx(
        0.5 * (expected - math.log(0.3 + 1e-5) * near[0] - math.log(0.1 + 1e-5) * near[1]), rel=1e-4
    )


def test_it_pulls_the_weight_to_the_depth_alone_and_in_any_unit():
    samples = packed([[0.0, 1.0, 1.9, 2.1, 3.0]])
    weights = torch.full((4,), 0.2, requires_grad=True)
    loss = known_depth_loss(weights, samples, torch.tensor([2.0]))
    (grad,) = torch.autograd.grad(loss, weights)
    assert grad[2] < -1.0
    assert grad[[0, 1, 3]].abs().max() < 1e-6
    larger = samples._replace(t_starts=7 * samples.t_starts, t_ends=7 * samples.t_ends)
    assert float(known_depth_loss(weights, larger, torch.tensor([14.0]))) == pytest.approx(float(loss), rel=1e-4)


def test_without_a_known_depth_it_is_0():
    samples = packed([[0.0, 1.0, 2.0]])
    assert float(known_depth_loss(torch.tensor([0.2, 0.3]), samples, torch.zeros(1))) == 0.0


def make_model(**options):
    from nerfstudio.data.scene_box import SceneBox

    metadata = {"cameras_inside_box": False, "alpha_color": None, "times": None, **options.pop("metadata", {})}
    config = NerfModelConfig(field=NeRFHashConfig(), **options)
    return config.setup(scene_box=SceneBox(torch.tensor([[-1.0] * 3, [1.0] * 3])), num_train_data=1, metadata=metadata)


@pytest.mark.parametrize("sampler", ["occupancy", "proposal"])
def test_a_model_has_it_where_a_batch_has_depths(sampler: str):
    model = make_model(sampler=sampler, depth_loss_mult=0.5).train()
    outputs = model(make_bundle())
    assert "depth_loss" not in model.get_loss_dict(outputs, rgba_batch())
    depths = torch.full((16,), 3.0)
    losses = model.get_loss_dict(outputs, rgba_batch() | {"depths": depths})
    expected = 0.5 * known_depth_loss(outputs["weights"], outputs["samples"], depths)
    torch.testing.assert_close(losses["depth_loss"], expected)
    assert float(expected.detach()) > 0
    losses["depth_loss"].backward()
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.field.parameters())


def test_device_coordinates_have_no_depths():
    ndc = {"ndc": {"focal_x": 1.0, "focal_y": 1.0, "near": 1.0}}
    model = make_model(space="ndc", metadata=ndc)
    with pytest.raises(InputError, match="depth_share: in normalized device coordinates"):
        model._depth_losses({"samples": None}, {"depths": torch.zeros(1)})


def test_its_weight_is_not_negative():
    with pytest.raises(InputError, match=r"depth_loss_mult must be >= 0, got -1"):
        NerfModelConfig(depth_loss_mult=-1.0)


@pytest.mark.parametrize("space", [BoxSpace, ContractedSpace, CubeSpace])
def test_a_length_in_the_space_is_one_in_the_world(space):
    made = space(torch.tensor([[-2.0] * 3, [2.0, 1.0, 1.0]]))
    rays = made.rays(make_bundle(4), 0.1, 10.0)
    t = torch.tensor([0.5, 1.0, 2.0, 4.0])
    torch.testing.assert_close(made.distances(rays, t), t * made.world_length)
