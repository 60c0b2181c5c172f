"""The loss of rays whose depth is known."""

import math
from types import SimpleNamespace

import pytest
import torch
from nerfstudio.engine.callbacks import TrainingCallbackAttributes

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
    """Two rays of two samples, the second at first of no known depth."""
    samples = packed([[0.9, 1.0, 1.1], [0.9, 1.0, 1.1]])
    weights, sigma = torch.tensor([0.2, 0.5, 0.3, 0.1]), SPREAD * 1.06
    near = [math.exp(-0.5 * ((m - 1.06) / sigma) ** 2) for m in (0.95, 1.05)]
    first, second = (-math.log(a * near[0] + b * near[1] + 1e-5) for a, b in ((0.2, 0.5), (0.3, 0.1)))
    assert float(known_depth_loss(weights, samples, torch.tensor([1.06, 0.0]))) == pytest.approx(first, rel=1e-4)
    both = float(known_depth_loss(weights, samples, torch.tensor([1.06, 1.06])))
    assert both == pytest.approx(0.5 * (first + second), rel=1e-4)


def test_it_pulls_the_weight_to_the_depth_alone_and_in_any_unit():
    samples = packed([[0.0, 1.0, 1.9, 2.1, 3.0]])
    weights = torch.full((4,), 0.2, requires_grad=True)
    loss = known_depth_loss(weights, samples, torch.tensor([2.0]))
    (grad,) = torch.autograd.grad(loss, weights)
    assert grad[2] < -1.0
    assert grad[[0, 1, 3]].abs().max() < 1e-6
    larger = samples._replace(t_starts=7 * samples.t_starts, t_ends=7 * samples.t_ends)
    again = known_depth_loss(weights.detach(), larger, torch.tensor([14.0]))
    assert float(again) == pytest.approx(float(loss.detach()), rel=1e-4)


def test_all_in_one_place_is_best():
    """Unlike DS-NeRF's, it does not want the weights to be spread over the samples near the depth."""
    samples, depths = packed([[1.9, 1.98, 2.02, 2.1]]), torch.tensor([2.0])
    sharp = known_depth_loss(torch.tensor([0.0, 1.0, 0.0]), samples, depths)
    assert float(sharp) < 1e-4
    assert float(sharp) < float(known_depth_loss(torch.tensor([0.25, 0.5, 0.25]), samples, depths))


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
    model.set_progress(0.0)
    outputs = model(make_bundle())
    assert "depth_loss" not in model.get_loss_dict(outputs, rgba_batch())
    depths = torch.full((16,), 3.0)
    losses = model.get_loss_dict(outputs, rgba_batch() | {"depths": depths})
    expected = 0.5 * known_depth_loss(outputs["weights"], outputs["samples"], depths)
    torch.testing.assert_close(losses["depth_loss"], expected)
    assert float(expected.detach()) > 0
    losses["depth_loss"].backward()
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.field.parameters())


def test_its_weight_falls_to_0_and_then_no_such_rays_are_drawn():
    model = make_model(depth_loss_mult=0.4, depth_loss_until=0.5).train()
    sampler = SimpleNamespace(num_rays_per_batch=16, set_num_rays_per_batch=lambda n: None, draws_depths=None)
    pipeline = SimpleNamespace(datamanager=SimpleNamespace(train_pixel_sampler=sampler))
    trainer = SimpleNamespace(last_step=100)
    attributes = TrainingCallbackAttributes(None, None, pipeline, trainer)  # type: ignore[arg-type]
    (before_step,) = model.get_training_callbacks(attributes)
    outputs, batch = model(make_bundle()), rgba_batch() | {"depths": torch.full((16,), 3.0)}
    whole = known_depth_loss(outputs["weights"], outputs["samples"], batch["depths"])
    for step, weight in ((0, 0.4), (25, 0.2), (50, None), (99, None)):
        before_step.func(step=step)
        loss = model.get_loss_dict(outputs, batch).get("depth_loss")
        assert (None if loss is None else float(loss.detach())) == (
            None if weight is None else pytest.approx(weight * float(whole.detach()), rel=1e-4)
        )
        assert sampler.draws_depths == (weight is not None)


def test_device_coordinates_have_no_depths():
    ndc = {"ndc": {"focal_x": 1.0, "focal_y": 1.0, "near": 1.0}}
    model = make_model(space="ndc", metadata=ndc)
    model.set_progress(0.0)
    with pytest.raises(InputError, match="depth_share: in normalized device coordinates"):
        model._depth_losses({"samples": None}, {"depths": torch.zeros(1)})


def test_its_weight_is_not_negative():
    with pytest.raises(InputError, match=r"depth_loss_mult must be >= 0, got -1"):
        NerfModelConfig(depth_loss_mult=-1.0)
    with pytest.raises(InputError, match=r"depth_loss_until must be in \(0, 1\], got 0"):
        NerfModelConfig(depth_loss_until=0.0)


@pytest.mark.parametrize("space", [BoxSpace, ContractedSpace, CubeSpace])
def test_a_length_in_the_space_is_one_in_the_world(space):
    made = space(torch.tensor([[-2.0] * 3, [2.0, 1.0, 1.0]]))
    rays = made.rays(make_bundle(4), 0.1, 10.0)
    t = torch.tensor([0.5, 1.0, 2.0, 4.0])
    torch.testing.assert_close(made.distances(rays, t), t * made.world_length)
