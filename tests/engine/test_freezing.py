import copy
from dataclasses import replace

import pytest
import torch
from nerfstudio.cameras.camera_optimizers import CameraOptimizerConfig
from nerfstudio.data.scene_box import SceneBox
from torch import nn

from nerf_plugins.engine.freezing import freeze
from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.methods import nerf_hash, nerf_photos, neus, neus_hash, vanilla_nerf
from nerf_plugins.models.neus import NeuSModel
from nerf_plugins.models.volumetric import VolumetricModel
from nerf_plugins.rays import Points

METHODS = {
    "nerf": vanilla_nerf.method,
    "nerf-hash": nerf_hash.method,
    "photos": nerf_photos.method,
    "neus": neus.method,
    "neus-hash": neus_hash.method,
}


def make_model(method: str, **options) -> VolumetricModel:
    config = copy.deepcopy(METHODS[method].config.pipeline.model)
    if hasattr(config.field, "W"):
        config.field.D, config.field.W, config.field.skips = 3, 64, (1,)
    else:
        config.field.encoding = HashEncodingConfig(n_levels=4, log2_table_size=10)
    config.field.precision = "fp32"
    config = replace(config, **options)
    torch.manual_seed(0)
    box = SceneBox(aabb=torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))
    return config.setup(scene_box=box, num_train_data=4, metadata={})


def evaluate(model: VolumetricModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Density or distance, and colour, of some points."""
    generator = torch.Generator().manual_seed(3)
    positions = torch.rand(64, 3, generator=generator) * 1.6 - 0.8
    directions = nn.functional.normalize(torch.randn(64, 3, generator=generator), dim=-1)
    points = Points(positions, directions=directions)
    if isinstance(model, NeuSModel):
        geometry = model.field.geometry(points)
        sharp = model.variance()
        return torch.cat([geometry.sdf, geometry.gradients.flatten(), sharp[None]]), model.field.color(points, geometry)
    return model.field(points)


def shake(model: nn.Module) -> None:
    """Moves what can be trained, as an optimiser would."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("method", METHODS)
def test_frozen_geometry_stays_exactly_and_the_colour_learns(method: str):
    model = make_model(method)
    before = evaluate(model)
    line = freeze(model, model.parts(), model.get_param_groups(), ["geometry"])
    shake(model)
    after = evaluate(model)
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1], atol=1e-2)
    assert line.startswith("Frozen: geometry (")


@pytest.mark.parametrize("method", METHODS)
def test_geometry_is_no_more_than_density_depends_on(method: str):
    model = make_model(method)
    shake(model)  # initial weights hide some dependences
    freeze(model, model.parts(), model.get_param_groups(), ["color"])
    evaluate(model)[0].square().sum().backward()
    for name, parameter in model.named_parameters():
        # nerfstudio has an empty one; proposals are geometry, but no part of the density
        if parameter.numel() and not name.startswith("sampler."):
            is_used = parameter.grad is not None and bool((parameter.grad != 0).any())
            assert is_used == parameter.requires_grad, name


def frozen(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.numel() and not parameter.requires_grad}


def test_groups_modules_and_patterns():
    model = make_model("neus-hash")
    groups = model.get_param_groups()
    freeze(model, model.parts(), groups, ["variance"])
    assert frozen(model) == {"variance.v"}
    freeze(model, model.parts(), groups, ["field.encoding"])
    assert frozen(model) == {"variance.v", "field.encoding.table"}
    freeze(model, model.parts(), groups, ["field.*head.bias"])
    heads = {"field.head.bias", "field.feature_head.bias", "field.color_head.bias"}
    assert frozen(model) == {"variance.v", "field.encoding.table"} | heads


@pytest.mark.parametrize("method", METHODS)
def test_the_last_layer_of_the_colour_has_one_name_in_all_fields(method: str):
    model = make_model(method)
    freeze(model, model.parts(), model.get_param_groups(), ["field.color_head"])
    assert "field.color_head.bias" in frozen(model)


def test_pose_adjustments_are_neither_geometry_nor_colour():
    model = make_model("nerf-hash", camera_optimizer=CameraOptimizerConfig(mode="SO3xR3"))
    parts = {id(parameter) for part in model.parts().values() for parameter in part}
    assert parts == {id(parameter) for parameter in model.field.parameters()}
    freeze(model, model.parts(), model.get_param_groups(), ["geometry", "color"])
    assert model.camera_optimizer.pose_adjustment.requires_grad


def test_a_part_that_only_a_field_knows():
    model = nn.ModuleDict({"warp": nn.Linear(2, 3), "canonical": nn.Linear(3, 1)})
    freeze(model, {"warp": list(model["warp"].parameters())}, {"fields": list(model.parameters())}, ["warp"])
    assert frozen(model) == {"warp.weight", "warp.bias"}


def test_what_is_counted():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    line = freeze(model, {}, {"fields": list(model.parameters())}, ["0"])
    assert line == "Frozen: 0 (9 numbers of the model; 4 are trained)."


def test_an_unknown_part_is_named_with_those_there_are():
    model = make_model("neus-hash")
    with pytest.raises(
        InputError, match=r"--freeze geometri: there is no such part.*fields, variance.*field\.encoding"
    ):
        freeze(model, model.parts(), model.get_param_groups(), ["geometri"])


def test_freezing_everything_is_refused():
    model = make_model("nerf-hash")
    with pytest.raises(InputError, match="--freeze geometry color: nothing is left to train"):
        freeze(model, model.parts(), model.get_param_groups(), ["geometry", "color"])


@pytest.mark.parametrize("method", METHODS)
def test_a_step_with_frozen_geometry_leaves_it_and_what_the_optimiser_knows_of_it(method: str):
    from tests.models.common import make_bundle, rgba_batch

    model = make_model(method)
    optimizer = torch.optim.Adam(model.get_param_groups()["fields"], lr=1e-2)

    def step() -> None:
        optimizer.zero_grad()
        outputs = model.get_outputs(make_bundle(32))
        batch = rgba_batch(32)
        sum(model.get_loss_dict(outputs, batch).values()).backward()  # type: ignore[union-attr]
        optimizer.step()

    model.train()
    step()
    freeze(model, model.parts(), model.get_param_groups(), ["geometry"])
    optimizer.zero_grad()
    before, color = evaluate(model)
    known = copy.deepcopy(optimizer.state_dict()["state"])
    step()
    assert torch.equal(before, evaluate(model)[0])
    assert not torch.equal(color, evaluate(model)[1])
    for i, parameter in enumerate(optimizer.param_groups[0]["params"]):
        same = torch.equal(known[i]["exp_avg"], optimizer.state[parameter]["exp_avg"])
        assert same == (not parameter.requires_grad) or not bool(known[i]["exp_avg"].any())
