"""Looks of photos in pictures, and the PSNRs of held-out photos."""

import pytest
import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.viewer.utils import parse_object
from nerfstudio.viewer.viewer_elements import ViewerElement

from nerf_plugins.fields.appearance import AppearanceConfig
from nerf_plugins.fields.codes import PHOTO_WEIGHTS, ImageCodes
from nerf_plugins.fields.encodings import HashEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.fields.neus_hash import NeuSHashConfig
from nerf_plugins.models.half_image import color_codes
from nerf_plugins.models.nerf import NerfModelConfig
from nerf_plugins.models.neus import NeuSModelConfig
from nerf_plugins.models.volumetric import VolumetricModel
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.surface import SurfaceSamplerConfig

NAMES = ["a.png", "b.png", "c.png"]
GRID = OccupancyGridConfig(resolution=16, warmup_steps=16)
ENCODING = HashEncodingConfig(n_levels=4, log2_table_size=8)
CASES = [("nerf", "codes"), ("nerf", "affine"), ("neus", "codes")]
pytestmark = pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")


@pytest.fixture(autouse=True)
def without_lpips(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nerf_plugins.models.metrics.lpips_model", lambda: None)


def make_model(method: str, kind: str) -> VolumetricModel:
    """An untrained model whose photos look quite different."""
    torch.manual_seed(0)
    appearance = AppearanceConfig(kind=kind, width=4)  # type: ignore[arg-type]
    if method == "nerf":
        config = NerfModelConfig(
            field=NeRFHashConfig(encoding=ENCODING, appearance=appearance, density_bias=2.0),
            occupancy=OccupancySamplerConfig(grid=GRID, steps_per_diagonal=48, warmup_coarseness=1.0),
        )
    else:
        config = NeuSModelConfig(
            field=NeuSHashConfig(encoding=ENCODING, appearance=appearance),
            surface=SurfaceSamplerConfig(grid=GRID, steps_per_diagonal=48),
        )
    box = SceneBox(aabb=torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))
    model = config.setup(scene_box=box, num_train_data=3, metadata={"image_names": NAMES})
    if kind != "none":
        spread = 0.2 if kind == "affine" else 3.0
        torch.nn.init.normal_(model.field.appearance.codes.weight, std=spread)
        torch.nn.init.normal_(model.field.color_head.weight)
    return model.eval()


def make_camera(**metadata) -> Cameras:
    pose = torch.eye(4)[None, :3].clone()
    pose[0, 2, 3] = 3.0
    camera = Cameras(camera_to_worlds=pose, fx=14.0, fy=14.0, cx=6.0, cy=5.0, width=12, height=10)
    camera.metadata = metadata or None
    return camera


def share(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float32)


@pytest.mark.parametrize(("method", "kind"), CASES)
def test_a_picture_has_the_look_that_its_camera_asks_for(method: str, kind: str):
    model = make_model(method, kind)
    pictures = [
        model.get_outputs_for_camera(make_camera(**metadata))
        for metadata in ({}, {PHOTO_WEIGHTS: share(0, 1, 0)}, {PHOTO_WEIGHTS: share(1 / 3, 1 / 3, 1 / 3)})
    ]
    assert (pictures[0]["rgb"] - pictures[1]["rgb"]).abs().max() > 0.02
    torch.testing.assert_close(pictures[0]["rgb"], pictures[2]["rgb"])
    for name in ("depth", "accumulation"):
        assert torch.equal(pictures[0][name], pictures[1][name])
    assert model.field.appearance.codes.shown is None  # type: ignore[union-attr]
    # As the photo itself is trained on.
    bundle = make_camera().generate_rays(camera_indices=0, keep_shape=True).flatten()
    bundle.camera_indices = torch.ones_like(bundle.camera_indices)
    rays = model.space.rays(bundle, 0.05, 1e3)._replace(camera_indices=bundle.camera_indices[:, 0])
    model._rays = lambda _: rays  # type: ignore[method-assign]
    of_photo = model.colors_of(bundle).reshape(10, 12, 3)
    torch.testing.assert_close(pictures[1]["rgb"], of_photo.clamp(0, 1), atol=2e-3, rtol=0)


def test_the_viewer_chooses_a_photo_or_a_blend_of_two():
    model = make_model("nerf", "codes")
    assert model.looks is not None
    found = [element.name for _, element in parse_object(model.looks, ViewerElement, "looks")]
    assert found == ["Look of photo", "Blended with", "Blend"]  # in the order in which they are used
    assert model.looks.first.options == ["mean of all", *NAMES]
    model.looks.first.value, model.looks.second.value, model.looks.share.value = "b.png", "c.png", 0.25
    seen = model.get_outputs_for_camera(make_camera())["rgb"]
    wanted = model.get_outputs_for_camera(make_camera(**{PHOTO_WEIGHTS: share(0, 0.75, 0.25)}))["rgb"]
    assert torch.equal(seen, wanted)
    for typed, shares in ((1.7, (0, 0, 1)), (-0.5, (0, 1, 0))):  # the field beside the slider takes any number
        model.looks.share.value = typed
        seen = model.get_outputs_for_camera(make_camera())["rgb"]
        assert torch.equal(seen, model.get_outputs_for_camera(make_camera(**{PHOTO_WEIGHTS: share(*shares)}))["rgb"])
    model.looks.first.value, model.looks.share.value = "mean of all", 0.0
    assert not torch.allclose(model.get_outputs_for_camera(make_camera())["rgb"], wanted, atol=1e-3)


def test_a_mesh_has_the_look_that_is_shown():
    model = make_model("nerf", "codes")
    positions, directions = torch.rand(5, 3) - 0.5, torch.tensor([[0.0, 0.0, -1.0]]).expand(5, 3)
    mean = model.implicit_surface().color(positions, directions)
    with model.shown(share(0, 0, 1)):
        third = model.implicit_surface().color(positions, directions)
    assert (mean - third).abs().max() > 0.02
    assert torch.equal(model.implicit_surface().color(positions, directions), mean)


def test_a_model_without_codes_has_neither_controls_nor_other_metrics():
    model = make_model("nerf", "none")
    assert model.looks is None
    camera = make_camera()
    outputs = model.get_outputs_for_camera(camera)
    batch = {"image": outputs["rgb"], "camera": camera, "nearest_photo": 0}
    assert not any(name.startswith("psnr_") for name in model.get_image_metrics_and_images(outputs, batch)[0])


@pytest.mark.parametrize(("method", "kind"), CASES)
def test_a_held_out_photo_is_scored_by_three_codes_and_nothing_else_is_fitted(method: str, kind: str, monkeypatch):
    monkeypatch.setattr("nerf_plugins.models.half_image.FIT_RAYS", 64)
    monkeypatch.setattr("nerf_plugins.models.half_image.FIT_STEPS", 50)
    model = make_model(method, kind)
    photo = model.get_outputs_for_camera(make_camera(**{PHOTO_WEIGHTS: share(0, 0, 1)}))["rgb"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    outputs = model.get_outputs_for_camera(make_camera())
    batch = {"image": photo, "camera": make_camera(), "nearest_photo": 1}
    metrics, _ = model.get_image_metrics_and_images(outputs, batch)
    assert metrics["psnr"] == pytest.approx(metrics["psnr_mean_code"], abs=1e-4)
    assert metrics["psnr_fitted_right_half"] > metrics["psnr_mean_right_half"] + 3.0
    assert metrics["psnr_nearest_code"] < metrics["psnr_fitted_right_half"]
    exact, _ = model.get_image_metrics_and_images(outputs, {**batch, "nearest_photo": 2})
    assert exact["psnr_nearest_code"] > 60.0
    assert exact["psnr_fitted_right_half"] == metrics["psnr_fitted_right_half"]  # the same for the same model
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.field.parameters())


def test_only_codes_that_the_colour_alone_sees_are_fitted():
    model = make_model("nerf", "codes")
    model.field.warp_codes = ImageCodes(3, 2)  # not among the field's colour parameters
    assert color_codes(model) == [model.field.appearance.codes]
