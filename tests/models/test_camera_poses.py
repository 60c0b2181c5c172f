"""Learning the training cameras' poses with nerfstudio's camera optimiser."""

import pytest
import torch
import yaml

from nerf_plugins.models.volumetric import VolumetricModel
from tests.engine.test_freezing import METHODS, make_model
from tests.models.common import make_bundle, rgba_batch


def losses(model: VolumetricModel) -> torch.Tensor:
    torch.manual_seed(0)  # the jitter of samples and backgrounds
    bundle = make_bundle(64)
    bundle.camera_indices = torch.arange(64)[:, None] % 4
    return torch.stack(list(model.get_loss_dict(model.get_outputs(bundle), rgba_batch(64)).values())).sum()


@pytest.mark.parametrize("method", METHODS)
def test_every_training_camera_gets_a_gradient(method: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(METHODS[method].config.pipeline.model.camera_optimizer, "mode", "SO3xR3")
    model = make_model(method).train()
    (poses,) = model.get_param_groups()["camera_opt"]
    assert poses.shape == (4, 6)
    losses(model).backward()
    assert (poses.grad.abs().amax(-1) > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_poses_move_rays_in_training_only(method: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(METHODS[method].config.pipeline.model.camera_optimizer, "mode", "SO3xR3")
    model = make_model(method)
    moved = torch.tensor([0.1, 0.2, 0.3, 0.0, 0.0, 0.0])
    with torch.no_grad():
        model.get_param_groups()["camera_opt"][0][:] = moved
    for training in (True, False):
        rays = model.train(training)._rays(make_bundle(4))
        shift = (rays.origins - model.space.rays(make_bundle(4), 0.05, 10.0).origins) / rays.distance_scale[:, None]
        assert torch.allclose(shift, moved[:3] * training, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_poses_stay_unless_asked_for(method: str):
    model = make_model(method)
    assert "camera_opt" not in model.get_param_groups()
    assert not any("camera" in key for key in model.state_dict())


def test_a_configuration_without_the_option_is_read():
    config = next(iter(METHODS.values())).config.pipeline.model
    lines = yaml.dump(config).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("camera_optimizer:"))
    last = next(i for i in range(first + 1, len(lines)) if not lines[i].startswith(" "))
    earlier = yaml.load("\n".join(lines[:first] + lines[last:]), Loader=yaml.Loader)
    assert earlier == config
