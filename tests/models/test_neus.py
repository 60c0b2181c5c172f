import math
from dataclasses import replace

import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.engine.callbacks import TrainingCallbackAttributes
from nerfstudio.model_components.renderers import background_color_override_context
from torch import Tensor

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import RadianceField
from nerf_plugins.fields.encodings import HashEncodingConfig, TensorEncodingConfig
from nerf_plugins.fields.nerf_hash import NeRFHashConfig
from nerf_plugins.fields.neus_hash import NeuSHashConfig
from nerf_plugins.fields.neus_mlp import NeuSMLPConfig
from nerf_plugins.fields.proposal import ProposalFieldConfig
from nerf_plugins.fields.sdf import Geometry, SDFField, Surface
from nerf_plugins.fields.tensorf import TensoRFConfig
from nerf_plugins.fields.timed_hash import TimedHashConfig
from nerf_plugins.models import neus
from nerf_plugins.models.neus import NeuSModel, NeuSModelConfig
from nerf_plugins.models.outside import OutsideConfig
from nerf_plugins.rays import Points
from nerf_plugins.samplers.distance_grid import make_distance_grid
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.proposal import ProposalSampler, ProposalSamplerConfig
from nerf_plugins.samplers.surface import SurfaceSamplerConfig
from nerf_plugins.samplers.upsampling import UpSamplingSamplerConfig
from nerf_plugins.spaces import CubeSpace

from .common import make_bundle, rgba_batch

FIELD = NeuSHashConfig(
    encoding=HashEncodingConfig(n_levels=4, base_resolution=4, max_resolution=32, log2_table_size=10)
)


MLP = NeuSMLPConfig(D=3, W=64, skips=(1,), color_layers=2, color_width=32, precision="fp32")
SAMPLERS = pytest.mark.parametrize("sampler", ["surface", "upsampling"])


class Sphere(SDFField):
    """Exact, red."""

    radius = 0.5
    progress = 1.0

    def set_progress(self, progress):
        self.progress = progress

    def sdf(self, points):
        return points.positions.norm(dim=-1) - self.radius

    def geometry(self, points):
        positions = points.positions
        return Geometry(self.sdf(points), torch.nn.functional.normalize(positions, dim=-1), positions[:, :0])

    def color(self, points, geometry):
        return torch.tensor([1.0, 0.0, 0.0]).expand_as(points.positions)


def make_model(half: float = 1.0, centre: float = 0.0, metadata: dict | None = None, **options) -> NeuSModel:
    torch.manual_seed(0)
    grid = OccupancyGridConfig(resolution=32, warmup_steps=16)
    surface = SurfaceSamplerConfig(grid=grid, steps_per_diagonal=128, explore=0.0)
    config = NeuSModelConfig(surface=surface, **{"field": FIELD, **options})
    aabb = torch.tensor([[-half] * 3, [half] * 3]) + centre
    return config.setup(scene_box=SceneBox(aabb=aabb), num_train_data=3, metadata=metadata or {})


def sharp_sphere(half: float = 1.0, centre: float = 0.0, **options) -> NeuSModel:
    """A model whose field is the exact sphere, with its grid formed."""
    model = make_model(half, centre, initial_variance=0.6, **options)
    model.field = Sphere()
    for step in range(17):
        model.sampler.before_step(step, model.scene)
    return model


@pytest.mark.parametrize("sampler", ["surface", "upsampling"])
@pytest.mark.parametrize("n_outside", [0, 4])
def test_outputs(sampler: str, n_outside: int):
    model = make_model(sampler=sampler, outside=OutsideConfig(n_samples=n_outside))
    model.eval()
    outputs = model(make_bundle())
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    assert shapes == {"rgb": (16, 3), "accumulation": (16, 1), "depth": (16, 1), "normals": (16, 3)}
    assert next(iter(outputs)) == "rgb"
    for name in ("rgb", "accumulation", "normals"):
        assert float(outputs[name].min()) >= 0
        assert float(outputs[name].max()) <= 1 + 1e-5
    model.train()
    outputs = model(make_bundle())
    losses = model.get_loss_dict(outputs, rgba_batch())
    assert set(losses) == {"rgb_loss", "eikonal_loss", "mask_loss"}
    sum(losses.values()).backward()  # type: ignore[union-attr]
    for group in model.get_param_groups().values():
        assert any(p.grad is not None and float(p.grad.abs().max()) > 0 for p in group)


@pytest.mark.parametrize(("half", "centre"), [(1.0, 0.0), (2.0, 0.7)])
@pytest.mark.parametrize("sampler", ["surface", "upsampling"])
def test_a_sphere_is_rendered_where_it_is_in_the_world(half: float, centre: float, sampler: str):
    model = sharp_sphere(half, centre, sampler=sampler).eval()
    bundle = make_bundle(1)
    bundle.origins = torch.tensor([[centre, centre, centre + 3.0 * half]])
    bundle.directions = torch.tensor([[0.0, 0.0, -1.0]])
    outputs = model(bundle)
    assert float(outputs["accumulation"]) > 0.97
    assert float(outputs["depth"]) == pytest.approx(2.5 * half, abs=0.02 * half)
    torch.testing.assert_close(outputs["normals"], torch.tensor([[0.5, 0.5, 1.0]]), atol=0.03, rtol=0.0)
    assert float(outputs["rgb"][0, 0]) > 0.95


def test_the_grid_keeps_a_shell_and_prunes_inside_and_outside():
    model = sharp_sphere()
    grid = model.sampler.march.grid  # type: ignore[union-attr]
    assert 0.005 < float(grid.fraction_occupied) < 0.15
    assert not bool(grid.occupied[0, 16, 16, 16])
    assert not bool(grid.occupied[0, 0, 0, 0])
    assert bool(grid.occupied[0, 24, 16, 16])


def test_the_implicit_surface_is_in_the_scenes_units():
    surface = sharp_sphere(half=2.0, centre=0.7).implicit_surface()
    positions = torch.tensor([[0.7, 0.7, 0.7], [1.7, 0.7, 0.7], [2.7, 0.7, 0.7]])
    torch.testing.assert_close(surface.value(positions), torch.tensor([-1.0, 0.0, 1.0]), atol=1e-5, rtol=0.0)
    assert surface.level == 0.0
    torch.testing.assert_close(surface.aabb, torch.tensor([[-1.3] * 3, [2.7] * 3]))
    assert surface.color(positions, positions).tolist() == [[1.0, 0.0, 0.0]] * 3


def test_the_viewers_level_moves_the_surface():
    model = sharp_sphere(half=2.0).eval()
    model.viewer_level.value = 0.1  # type: ignore[misc]
    assert model.implicit_surface().level == pytest.approx(0.2)


def test_mask_loss_needs_alpha():
    model = make_model().train()
    outputs = model(make_bundle())
    assert "mask_loss" not in model.get_loss_dict(outputs, {"image": rgba_batch()["image"][:, :3]})


def test_padding_of_a_fixed_buffer_does_not_enter_the_eikonal_loss():
    model = make_model().train()
    bundle = make_bundle()
    rays = model._rays(bundle)
    samples = model.sampler.sample(rays, Surface(model.field, torch.tensor(20.0)), stratified=False).samples
    n = len(samples.t_starts)
    padded = samples._replace(
        ray_indices=torch.cat([samples.ray_indices, samples.ray_indices.new_zeros(50)]),
        t_starts=torch.cat([samples.t_starts, torch.zeros(50)]),
        t_ends=torch.cat([samples.t_ends, torch.zeros(50)]),
    )
    assert n > 0
    exact, with_padding = (
        model._render_training(rays, s, model.variance())[2]["eikonal_error"] for s in (samples, padded)
    )
    torch.testing.assert_close(exact, with_padding)


def test_no_samples_at_all_is_background_and_no_loss():
    model = make_model().train()
    bundle = make_bundle()
    bundle.directions = -bundle.directions
    outputs = model(bundle)
    assert float(outputs["accumulation"].abs().max()) == 0
    losses = model.get_loss_dict(outputs, rgba_batch())
    assert all(bool(loss.isfinite()) for loss in losses.values())


def test_curvature_of_a_sphere_is_two_over_its_radius():
    model = sharp_sphere(curvature_loss_mult=1.0)
    curvatures = model._curvatures(Points(torch.tensor([[0.5, 0.0, 0.0], [0.0, -0.25, 0.0]])))
    torch.testing.assert_close(curvatures, torch.tensor([4.0, 8.0]), rtol=2e-2, atol=0.0)


def test_annealing_follows_the_step():
    model = make_model(anneal_steps=100)
    assert [model.progress_at(step) for step in (0, 25, 1000)] == [0.0, 0.25, 1.0]
    assert make_model(anneal_steps=0).progress_at(0) == 1.0


def test_training_on_a_smaller_ball_shrinks_the_surface():
    model = make_model(anneal_steps=0)
    optimizer = torch.optim.Adam(model.get_param_groups()["fields"], lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    axis = torch.tensor([[0.8, 0.0, 0.0], [0.0, 0.8, 0.0], [0.0, 0.0, 0.8], [-0.8, 0.0, 0.0]])
    before = float(model.scene.sdf(Points(axis * 0.45)).mean())
    bundle = make_bundle(256)
    for _ in range(30):
        bundle.origins = 3 * torch.nn.functional.normalize(torch.randn(256, 3, generator=generator), dim=-1)
        targets = torch.rand(256, 3, generator=generator) - 0.5
        bundle.directions = torch.nn.functional.normalize(targets - bundle.origins, dim=-1)
        closest = torch.linalg.cross(bundle.origins, bundle.directions).norm(dim=-1)
        image = torch.cat([torch.ones(256, 3), (closest < 0.25).float()[:, None]], dim=-1)
        optimizer.zero_grad()
        losses = model.train().get_loss_dict(model(bundle), {"image": image})
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    assert before < 0 < float(model.scene.sdf(Points(axis * 0.45)).mean())  # 0.36 was inside, and is outside of 0.25


@pytest.mark.parametrize(("nearest", "radius"), [(None, 0.5), (9.0, 0.5), (1.0, 0.35), (0.4, 0.14), (0.0, 0.05)])
def test_no_camera_stands_in_the_first_ball(nearest: float | None, radius: float):
    """In a box of half side 2: so far from its middle is the nearest camera."""
    field = replace(FIELD, encoding=replace(FIELD.encoding, n_levels=1))
    model = make_model(2.0, field=field, metadata={} if nearest is None else {"nearest_camera": nearest})
    directions = torch.nn.functional.normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    r = torch.linspace(0.01, 1.0, 100)
    sdf = torch.stack([model.scene.sdf(Points(directions * x)).mean() for x in r])
    assert float(r[(sdf > 0).nonzero()[0, 0]]) == pytest.approx(radius, abs=0.03)
    assert model.field.config.radius == pytest.approx(radius)


def test_a_hollow_sphere_holds_the_cameras():
    model = make_model(field=replace(FIELD, inside_out=True), metadata={"nearest_camera": 0.1})
    assert model.field.config.radius == 0.5


@pytest.mark.parametrize("options", [{"eikonal_loss_mult": -1.0}, {"mask_loss_mult": -1.0}, {"anneal_steps": -1}])
def test_bad_options(options: dict):
    with pytest.raises(InputError, match=f"{next(iter(options))} must be >= 0, got -1"):
        NeuSModelConfig(**options)


# --- Rays and space --------------------------------------------------------------------------------------------------


def a_ray(origin: Tensor, target: Tensor):
    bundle = make_bundle(1)
    bundle.origins = origin[None]
    bundle.directions = torch.nn.functional.normalize(target - origin, dim=-1)[None]
    return bundle


@SAMPLERS
def test_a_box_that_is_no_cube(sampler: str):
    """The field's cube has the box's longest side: 6 x 4 x 5 makes a sphere of radius 0.5 one of radius 1.5."""
    model = sharp_sphere(sampler=sampler)
    low = torch.tensor([10.0, -3.0, 2.0])
    aabb = torch.stack([low, low + torch.tensor([6.0, 4.0, 5.0])])
    other = model.config.setup(scene_box=SceneBox(aabb=aabb), num_train_data=3, metadata={})
    other.field = Sphere()
    for step in range(17):
        other.sampler.before_step(step, other.scene)
    other.eval()
    centre = aabb.mean(0)
    for axis in (torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.6, 0.0, -0.8])):
        outputs = other(a_ray(centre + 9.0 * axis, centre))
        assert float(outputs["accumulation"]) > 0.97
        assert float(outputs["depth"]) == pytest.approx(9.0 - 1.5, abs=0.06)
        torch.testing.assert_close(outputs["normals"], (0.5 + 0.5 * axis)[None], atol=0.03, rtol=0.0)
    past = other(a_ray(centre + torch.tensor([9.0, 0.0, 1.7]), centre + torch.tensor([0.0, 0.0, 1.7])))
    assert float(past["accumulation"]) < 1e-3


@SAMPLERS
def test_rays_that_see_nothing_have_the_background_and_finite_gradients(sampler: str):
    model = make_model(sampler=sampler, background_color="white", field=MLP).train()
    bundle = make_bundle()
    bundle.nears = torch.full((16, 1), 1e10)  # what the viewer's crop gives a ray that misses
    bundle.fars = torch.full((16, 1), 1e10)
    outputs = model(bundle)
    assert torch.equal(outputs["rgb"], torch.ones(16, 3))
    assert float(outputs["eikonal_error"]) == 0.0
    torch.stack(list(model.get_loss_dict(outputs, rgba_batch()).values())).sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


@SAMPLERS
def test_a_crop_hides_what_is_before_and_behind(sampler: str):
    model = sharp_sphere(sampler=sampler).eval()
    bundle = a_ray(torch.tensor([0.0, 0.0, 3.0]), torch.zeros(3))  # the surface is at 2.5 and, from inside, at 3.5
    for near, far, seen in ((0.1, 2.3, False), (2.3, 2.7, True), (3.7, 9.0, False)):
        bundle.nears, bundle.fars = torch.tensor([[near]]), torch.tensor([[far]])
        assert (float(model(bundle)["accumulation"]) > 0.5) == seen


def test_background_in_pictures_is_the_viewers():
    model = sharp_sphere().eval()
    away = a_ray(torch.tensor([0.0, 0.0, 3.0]), torch.tensor([0.0, 0.0, 9.0]))
    assert torch.equal(model(away)["rgb"], torch.zeros(1, 3))
    with background_color_override_context(torch.tensor([0.1, 0.2, 0.3])):
        assert torch.allclose(model(away)["rgb"], torch.tensor([[0.1, 0.2, 0.3]]))
        hit = model(a_ray(torch.tensor([0.0, 0.0, 3.0]), torch.zeros(3)))["rgb"]
        assert torch.allclose(hit, torch.tensor([[1.0, 0.0, 0.0]]), atol=0.03)


@SAMPLERS
@pytest.mark.parametrize("level", [-0.1, 0.1])
def test_the_viewers_level_is_what_pictures_show(sampler: str, level: float):
    model = sharp_sphere(sampler=sampler).eval()
    model.viewer_level.value = level  # type: ignore[misc]
    outputs = model(a_ray(torch.tensor([0.0, 0.0, 3.0]), torch.zeros(3)))
    assert float(outputs["accumulation"]) > 0.95
    assert float(outputs["depth"]) == pytest.approx(3.0 - (0.5 + level), abs=0.02)


@pytest.mark.parametrize("inv_s", [20.0, 200.0, 3000.0])
def test_no_ray_that_hits_is_lost_to_the_grid(inv_s: float):
    model = make_model(initial_variance=math.log(inv_s) / 10)
    model.field = Sphere()
    for step in range(0, 400, 16):
        model.sampler.before_step(step, model.scene)
    model.eval()
    n = 500
    offsets = torch.linspace(-0.49, 0.49, n)
    bundle = make_bundle(n)
    bundle.origins = torch.stack([offsets, torch.full((n,), 0.03), torch.full((n,), 3.0)], dim=-1)
    bundle.directions = torch.tensor([[0.0, 0.0, -1.0]]).expand(n, 3)
    samples = model.sampler.sample(model._rays(bundle), model.scene, stratified=False).samples
    assert samples.packed_info[:, 1].min() >= 2


def test_a_picture_does_not_depend_on_its_chunks():
    camera = Cameras(
        camera_to_worlds=torch.tensor([[[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3]]]),
        fx=20.0,
        fy=20.0,
        cx=8.0,
        cy=6.0,
        width=16,
        height=12,
        camera_type=CameraType.PERSPECTIVE,
    )
    model = make_model(field=MLP).eval()
    whole = model.get_outputs_for_camera(camera)
    model.config.eval_num_rays_per_chunk = 17
    pieces = model.get_outputs_for_camera(camera)
    assert whole["normals"].shape == (12, 16, 3)
    for name in whole:
        assert torch.allclose(whole[name], pieces[name], atol=1e-4)


@SAMPLERS
@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("training", [True, False])
def test_few_rays(sampler: str, n: int, training: bool):
    model = make_model(sampler=sampler, outside=OutsideConfig(n_samples=4)).train(training)
    assert model(make_bundle(n))["rgb"].shape == (n, 3)


# --- Training --------------------------------------------------------------------------------------------------------


@SAMPLERS
def test_outputs_in_training(sampler: str):
    model = make_model(sampler=sampler, curvature_loss_mult=0.1).train()
    outputs = model(make_bundle())
    assert outputs.pop("losses") == {}
    assert outputs.pop("weights").shape == outputs.pop("samples").t_starts.shape
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    assert shapes == {
        **{"rgb": (16, 3), "accumulation": (16, 1), "depth": (16, 1), "background": (16, 3)},
        **{"n_samples": (16,), "n_looked_at": (16,), "n_dropped_rays": ()},
        **{"eikonal_error": (), "curvature": (), "inv_s": ()},
    }
    assert outputs["background"].std() > 0.1
    metrics = model.get_metrics_dict(outputs, rgba_batch())
    expected = {"psnr", "samples_per_ray", "looked_at_per_ray", "dropped_rays", "inv_s", "eikonal_error"}
    assert set(metrics) == expected | ({"occupied_fraction"} if sampler == "surface" else set())
    assert float(metrics["inv_s"]) == pytest.approx(math.exp(3.0), rel=1e-5)
    assert float(metrics["eikonal_error"]) == float(outputs["eikonal_error"])


@SAMPLERS
def test_a_step_trains_every_parameter_finitely(sampler: str):
    outside = OutsideConfig(n_samples=4)
    model = make_model(sampler=sampler, field=MLP, outside=outside, curvature_loss_mult=1e-3).train()
    with torch.no_grad():  # encoded frequencies start with weights of 0, whose direction has a gradient all the same
        for parameter in model.parameters():
            parameter += 1e-3 * torch.randn_like(parameter)
    losses = model.get_loss_dict(model(make_bundle()), rgba_batch())
    assert set(losses) == {"rgb_loss", "eikonal_loss", "curvature_loss", "mask_loss"}
    torch.stack(list(losses.values())).sum().backward()
    groups = model.get_param_groups()
    assert len(groups["variance"]) == 1
    # nerfstudio's models have an empty parameter that tells their device.
    assert sum(len(group) for group in groups.values()) == sum(p.numel() > 0 for p in model.parameters())
    for parameter in (p for group in groups.values() for p in group):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


@SAMPLERS
@pytest.mark.parametrize("mask", [0.0, 1.0])
@pytest.mark.parametrize("v", [-2.0, 0.3, 2.0])
def test_any_mask_and_any_sharpness_give_finite_gradients(sampler: str, mask: float, v: float):
    model = make_model(sampler=sampler, field=MLP, initial_variance=v).train()
    image = torch.cat([rgba_batch()["image"][:, :3], torch.full((16, 1), mask)], dim=-1)
    losses = model.get_loss_dict(model(make_bundle()), {"image": image})
    total = torch.stack(list(losses.values())).sum()
    assert total.isfinite()
    total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_losses_by_hand():
    model = make_model(eikonal_loss_mult=0.2, mask_loss_mult=0.3, curvature_loss_mult=0.4, background_color="black")
    outputs = {
        "rgb": torch.tensor([[0.5, 0.5, 0.5], [0.1, 0.2, 0.3]]),
        "background": torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]),
        "accumulation": torch.tensor([[0.8], [0.0]]),
        "eikonal_error": torch.tensor(0.7),
        "curvature": torch.tensor(2.0),
    }
    image = torch.tensor([[1.0, 0.5, 0.0, 1.0], [0.0, 0.0, 0.0, 0.5]])
    losses = model.get_loss_dict(outputs, {"image": image})
    # The second pixel over its background is 0.5 in each channel.
    assert float(losses["rgb_loss"]) == pytest.approx((0.5 + 0.0 + 0.5 + 0.4 + 0.3 + 0.2) / 6)
    assert float(losses["eikonal_loss"]) == pytest.approx(0.14)
    assert float(losses["curvature_loss"]) == pytest.approx(0.8)
    # -ln 0.8, and half of -ln 0.001 - ln 0.999 since opacities are kept off 0 and 1.
    bce = (-math.log(0.8) - 0.5 * (math.log(1e-3) + math.log(1 - 1e-3))) / 2
    assert float(losses["mask_loss"]) == pytest.approx(0.3 * bce, rel=1e-4)
    assert "mask_loss" not in model.get_loss_dict(outputs, {"image": image[:, :3]})
    model.config.mask_loss_mult = 0.0
    assert "mask_loss" not in model.get_loss_dict(outputs, {"image": image})


@SAMPLERS
def test_the_eikonal_error_is_that_of_the_gradients(sampler: str):
    class Steep(Sphere):
        def geometry(self, points):
            exact = super().geometry(points)
            return exact._replace(gradients=1.3 * exact.gradients)

    model = sharp_sphere(sampler=sampler).train()
    assert float(model(make_bundle())["eikonal_error"]) == pytest.approx(0.0, abs=1e-10)
    model.field = Steep()
    assert float(model(make_bundle())["eikonal_error"]) == pytest.approx(0.09, rel=1e-4)


def test_the_curvature_is_the_mean_of_the_samples_and_padding_does_not_enter():
    model = sharp_sphere(curvature_loss_mult=1.0).train()
    bundle = make_bundle()
    rays = model._rays(bundle)
    samples = model.sampler.sample(rays, Surface(model.field, torch.tensor(400.0)), stratified=True).samples
    padded = samples._replace(
        **{
            name: torch.cat([getattr(samples, name), getattr(samples, name).new_zeros(99)])
            for name in samples._fields[:3]
        }
    )
    t = 0.5 * (samples.t_starts + samples.t_ends)
    positions = rays.origins[samples.ray_indices.long()] + t[:, None] * rays.directions[samples.ray_indices.long()]
    expected = float((2.0 / positions.norm(dim=-1)).mean())
    for these in (samples, padded):
        assert float(model._render_training(rays, these, model.variance())[2]["curvature"]) == pytest.approx(
            expected, rel=0.02
        )
    model.config.curvature_loss_mult = 0.0
    assert set(model._render_training(rays, samples, model.variance())[2]) == {"eikonal_error"}


def test_progress_reaches_slopes_and_field_through_the_callback():
    model = make_model(anneal_steps=40)
    model.field = Sphere()
    callbacks = model.get_training_callbacks(TrainingCallbackAttributes(None, None, None, None))
    for step, progress in ((0, 0.0), (10, 0.25), (40, 1.0), (1000, 1.0)):
        for callback in callbacks:
            callback.run_callback_at_location(step, callback.where_to_run[0])
        assert (model.progress, model.field.progress) == (progress, progress)
    model.set_progress(0.5)
    assert (model.progress, model.field.progress) == (0.5, 0.5)
    model.update_to_step(20)
    assert model.sampler.march.coarseness == 1.0


def test_what_is_outside_follows_the_training_and_has_its_losses():
    tensor = TensorEncodingConfig(n_features=2, start_resolution=4, resolution=4)
    field = TensoRFConfig(density_tensor=tensor, appearance_tensor=tensor, sparsity_mult=1.0)
    model = make_model(anneal_steps=40, outside=OutsideConfig(n_samples=4, field=field)).train()
    assert model.outside is not None
    losses = model.get_loss_dict(model(make_bundle()), rgba_batch())
    assert float(losses["outside_sparsity"]) > 0
    levels = HashEncodingConfig(n_levels=4, start_levels=1, log2_table_size=8, max_resolution=32)
    model = make_model(anneal_steps=40, outside=OutsideConfig(n_samples=4, field=NeRFHashConfig(encoding=levels)))
    assert model.outside is not None
    for progress, active in ((0.0, 1), (1.0, 4)):
        model.set_progress(progress)
        assert model.outside.field.encoding.n_active_levels == active


def test_annealing_lets_what_faces_away_be_seen():
    """From inside the sphere the ray leaves the surface: transparent, but for the start of the training."""
    model = sharp_sphere(sampler="upsampling").eval()
    bundle = a_ray(torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]))
    model.set_progress(1.0)
    assert float(model(bundle)["accumulation"]) < 1e-4
    bundle = a_ray(torch.tensor([0.62, 0.0, 3.0]), torch.tensor([0.62, 0.0, 0.0]))  # passes at 0.12 from the surface
    model.config.initial_variance, seen = 0.3, []
    torch.nn.init.constant_(model.variance.v, 0.3)
    for progress in (0.0, 0.5, 1.0):
        model.set_progress(progress)
        seen.append(float(model(bundle)["accumulation"]))
    assert seen[0] > seen[1] > seen[2] > 0.0


def ball_batch(n: int, radius: float, generator: torch.Generator):
    """Rays from all around at a white ball, and their RGBA."""
    bundle = make_bundle(n)
    bundle.origins = 3 * torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    targets = 1.6 * (torch.rand(n, 3, generator=generator) - 0.5)
    bundle.directions = torch.nn.functional.normalize(targets - bundle.origins, dim=-1)
    closest = torch.linalg.cross(bundle.origins, bundle.directions).norm(dim=-1)
    return bundle, {"image": torch.cat([torch.ones(n, 3), (closest < radius).float()[:, None]], dim=-1)}


def mean_radius(model: NeuSModel) -> float:
    directions = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(5)), dim=-1)
    radii = torch.linspace(0.0, 1.0, 101)
    inside = model.scene.sdf(Points((radii[:, None, None] * directions).view(-1, 3))).view(101, 50) < 0
    return float(inside.sum(0).float().mean() * radii[1])


@SAMPLERS
def test_training_moves_the_surface_to_where_it_is(sampler: str):
    paper = UpSamplingSamplerConfig(n_samples=24, n_importance=16, up_sample_steps=2)
    model = make_model(anneal_steps=0, field=MLP, sampler=sampler, upsampling=paper)
    model.config.surface.explore = 0.1
    groups = model.get_param_groups()
    optimizer = torch.optim.Adam([{"params": groups["fields"], "lr": 3e-3}, {"params": groups["variance"], "lr": 1e-3}])
    generator, losses = torch.Generator().manual_seed(0), []
    before = mean_radius(model)
    for step in range(60):
        model.sampler.before_step(step, model.scene)
        bundle, batch = ball_batch(128, 0.3, generator)
        optimizer.zero_grad()
        loss = torch.stack(list(model.train().get_loss_dict(model(bundle), batch).values())).sum()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    assert before > 0.38
    assert mean_radius(model) == pytest.approx(0.3, abs=0.05)


@SAMPLERS
def test_same_seed_same_numbers(sampler: str):
    def run() -> float:
        model = make_model(sampler=sampler, field=MLP, outside=OutsideConfig(n_samples=4)).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for step in range(3):
            model.sampler.before_step(step, model.scene)
            loss = torch.stack(list(model.get_loss_dict(model(make_bundle()), rgba_batch()).values())).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(loss)

    assert run() == run()


def test_state_dict_holds_grid_variance_and_the_cube():
    model, other = make_model(half=2.0, centre=0.5), make_model()
    model.sampler.march.grid.occupied.bernoulli_(0.5)
    torch.nn.init.constant_(model.variance.v, 0.4)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.sampler.march.grid.occupied, model.sampler.march.grid.occupied)
    assert float(other.variance.v) == pytest.approx(0.4)
    assert float(other.space.scale) == 2.0


# --- Outside the box -------------------------------------------------------------------------------------------------


def outside_model(sigma: float, **options) -> tuple[NeuSModel, list[Tensor]]:
    """An exact sphere in a blue fog outside of the box, and the places (in the contracted cube) where it was evaluated."""
    model, places = sharp_sphere(outside=OutsideConfig(n_samples=8), **options).eval(), []

    class Fog(RadianceField):
        def density(self, points: Points) -> Tensor:
            return self(points)[0]

        def forward(self, points: Points) -> tuple[Tensor, Tensor]:
            places.append(points.positions)
            colors = torch.tensor([0.0, 0.0, 1.0]).expand_as(points.positions)
            return torch.full((len(points.positions),), sigma), colors

    model.outside.field = Fog()
    return model, places


def test_what_is_outside_is_seen_behind_the_box_only():
    model, places = outside_model(1e3)
    origin = torch.tensor([0.0, 0.0, 3.0])
    past = model(a_ray(origin, torch.tensor([0.9, 0.0, 0.0])))
    assert torch.allclose(past["rgb"], torch.tensor([[0.0, 0.0, 1.0]]), atol=1e-4)
    assert float(past["accumulation"]) < 1e-3  # of what is inside
    assert float(model(a_ray(origin, torch.zeros(3)))["rgb"][0, 0]) > 0.97
    from_inside = model(a_ray(torch.tensor([0.0, 0.9, 0.0]), torch.tensor([0.9, 0.9, 0.0])))
    assert torch.allclose(from_inside["rgb"], torch.tensor([[0.0, 0.0, 1.0]]), atol=1e-4)
    missing = model(a_ray(origin, torch.tensor([0.0, 0.0, 9.0])))
    assert torch.allclose(missing["rgb"], torch.tensor([[0.0, 0.0, 1.0]]), atol=1e-4)
    positions = torch.cat(places)
    assert len(positions) == 4 * 8
    assert positions.abs().amax(-1).min() >= 0.5 - 1e-4  # the contracted box is the inner half
    assert positions.abs().max() <= 1.0


def test_a_thin_outside_lets_the_background_through():
    model, _ = outside_model(0.0)
    with background_color_override_context(torch.tensor([0.0, 1.0, 0.0])):
        past = model(a_ray(torch.tensor([0.0, 0.0, 3.0]), torch.tensor([0.9, 0.0, 0.0])))
    assert torch.allclose(past["rgb"], torch.tensor([[0.0, 1.0, 0.0]]), atol=1e-3)


def test_a_crop_hides_what_is_outside():
    model, _ = outside_model(1e3)
    bundle = a_ray(torch.tensor([0.0, 0.0, 3.0]), torch.tensor([0.9, 0.0, 0.0]))
    bundle.nears, bundle.fars = torch.tensor([[2.0]]), torch.tensor([[3.0]])
    assert torch.equal(model(bundle)["rgb"], torch.zeros(1, 3))


@pytest.mark.parametrize("far_plane", [5.0, 1e3, 1e10])
@pytest.mark.parametrize("training", [True, False])
def test_the_outside_reaches_to_the_far_plane(far_plane: float, training: bool):
    model, places = outside_model(1e-3, far_plane=far_plane)
    outputs = model.train(training)(a_ray(torch.tensor([0.0, 0.0, 3.0]), torch.tensor([0.9, 0.0, 0.0])))
    assert outputs["rgb"].isfinite().all()
    assert torch.cat(places).isfinite().all()
    if far_plane == 5.0:
        # The last place is nearer than the far plane: contracted to (2 - 1/|x|) / 2.
        assert torch.cat(places).abs().max() <= (2 - 1 / 5.0) / 2


def proposals_outside(**options) -> NeuSModel:
    table = HashEncodingConfig(n_levels=2, base_resolution=4, max_resolution=8, log2_table_size=8)
    proposal = ProposalSamplerConfig(n_proposals=(32,), field=ProposalFieldConfig(encoding=table), anneal_steps=10)
    field = NeRFHashConfig(encoding=table, cones=True)
    return make_model(outside=OutsideConfig(n_samples=8, sampler="proposal", proposal=proposal, field=field), **options)


def test_what_is_outside_is_sampled_where_it_is_proposed():
    """Dense between 1/4 and 3/8 of the disparity only: by even samples one of eight would be there."""
    model, places = proposals_outside().eval(), []

    class Shell(RadianceField):
        def density(self, points: Points) -> Tensor:
            norm = points.positions.abs().amax(-1)  # contracted: (2 - 1/m) / 2
            return 50.0 * ((norm > 0.625) & (norm < 0.6875)).float()

        def forward(self, points: Points) -> tuple[Tensor, Tensor]:
            places.append(points.positions.abs().amax(-1))
            return self.density(points), torch.ones_like(points.positions)

    model.outside.field = model.outside.sampler.field = Shell()
    model(a_ray(torch.tensor([0.0, 0.0, 0.9]), torch.tensor([0.0, 0.0, 2.0])))
    (norm,) = places
    assert len(norm) == 8
    assert int(((norm > 0.6) & (norm < 0.71)).sum()) >= 6


def test_proposals_of_what_is_outside_learn_with_the_rest():
    model = proposals_outside().train()
    assert isinstance(model.outside.sampler, ProposalSampler)
    own = [*model.outside.sampler.parameters(), *model.outside.field.parameters()]
    groups = [p for group in model.get_param_groups().values() for p in group]
    parts = [p for part in model.parts().values() for p in part]
    assert own
    for parameter in own:
        assert any(parameter is other for other in groups)
        assert any(parameter is other for other in parts)
    losses = model.get_loss_dict(model(make_bundle()), rgba_batch())
    assert float(losses["outside_interlevel_loss"]) > 0
    losses["outside_interlevel_loss"].backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in model.outside.sampler.parameters())
    assert all(p.grad is None for p in model.outside.field.parameters())


def test_proposals_of_what_is_outside_follow_the_steps():
    model = proposals_outside()
    sampler = model.outside.sampler
    for callback in model.get_training_callbacks(TrainingCallbackAttributes(None, None, None, None)):
        callback.run_callback_at_location(0, callback.where_to_run[0])
    assert sampler.annealing == 0.0
    model.update_to_step(10)
    assert sampler.annealing == 1.0


@pytest.mark.parametrize("pictures", ["volume", "surface"])
def test_pictures_with_proposals_outside(pictures: str):
    model = proposals_outside(pictures=pictures).eval()
    assert model(make_bundle())["rgb"].isfinite().all()


def test_a_field_of_times_cannot_be_outside():
    with pytest.raises(InputError, match="outside: a field that needs times cannot be used here"):
        make_model(outside=OutsideConfig(n_samples=2, field=TimedHashConfig()))


def test_nothing_outside_is_no_module():
    assert make_model().outside is None
    assert "fields" in make_model(outside=OutsideConfig(n_samples=2)).get_param_groups()
    with pytest.raises(InputError, match="n_samples must be >= 0, got -1"):
        OutsideConfig(n_samples=-1)


def test_the_space_is_a_cube_around_the_box():
    model = make_model(half=2.0, centre=0.7)
    assert isinstance(model.space, CubeSpace)
    assert torch.allclose(model.space.aabb, torch.tensor([[-1.0] * 3, [1.0] * 3]))
    assert torch.allclose(model.space.to_world(model.space.aabb), model.scene_box.aabb)


def test_curvature_eps_is_named():
    with pytest.raises(InputError, match=r"curvature_eps must be > 0, got 0\.0"):
        NeuSModelConfig(curvature_eps=0.0)


# Pictures of the surface alone.


@pytest.mark.parametrize(("half", "centre", "level"), [(1.0, 0.0, 0.0), (2.0, 0.7, 0.0), (1.0, 0.0, 0.1)])
def test_a_picture_of_the_surface_shows_its_first_point(half: float, centre: float, level: float):
    """To a thousandth, at the viewer's level, also obliquely; what misses is background."""
    model = sharp_sphere(half, centre, pictures="surface", background_color="white").eval()
    model.viewer_level.value = level  # type: ignore[misc]
    radius, offsets = 0.5 + level, torch.tensor([0.0, 0.3, 0.45, 0.9])
    bundle = make_bundle(4)
    bundle.origins = centre + half * torch.stack([offsets, 0.0 * offsets, torch.full((4,), 3.0)], dim=-1)
    bundle.directions = torch.tensor([[0.0, 0.0, -1.0]]).expand(4, 3)
    outputs = model(bundle)
    z = (radius**2 - offsets[:3] ** 2).sqrt()
    torch.testing.assert_close(outputs["depth"][:3, 0], half * (3.0 - z), atol=1e-3 * half, rtol=0.0)
    normals = torch.stack([offsets[:3], torch.zeros(3), z], dim=-1) / radius
    torch.testing.assert_close(2.0 * outputs["normals"][:3] - 1.0, normals, atol=5e-3, rtol=0.0)
    assert outputs["accumulation"][:, 0].tolist() == [1.0, 1.0, 1.0, 0.0]
    assert outputs["rgb"].tolist() == [[1.0, 0.0, 0.0]] * 3 + [[1.0, 1.0, 1.0]]


def test_a_camera_inside_sees_the_surface_at_once_and_no_rays_are_no_picture():
    model = sharp_sphere(pictures="surface").eval()
    assert float(model(a_ray(torch.zeros(3), torch.tensor([0.0, 0.0, 1.0])))["depth"]) < 0.06
    assert model(make_bundle(0))["rgb"].shape == (0, 3)


def test_training_is_the_same_whatever_pictures_show():
    model = make_model(pictures="surface").train()
    assert "losses" in model(make_bundle())


def test_of_two_crossings_the_first_is_seen_and_what_is_outside_stays_behind():
    model, _ = outside_model(1e3, pictures="surface")
    model.field = Sphere()
    model.eval()
    outputs = model(a_ray(torch.tensor([0.0, 0.0, 3.0]), torch.zeros(3)))
    assert outputs["rgb"].tolist() == [[1.0, 0.0, 0.0]]
    assert float(outputs["depth"]) == pytest.approx(2.5, abs=1e-3)
    missed = model(a_ray(torch.tensor([0.0, 0.9, 3.0]), torch.tensor([0.0, 0.9, 0.0])))
    assert float(missed["accumulation"]) == 0.0
    assert float(missed["rgb"].sum()) > 0.0


def a_camera(side: int = 24) -> Cameras:
    """From (0, 0, 3), a little wider than the sphere."""
    camera_to_worlds = torch.tensor([[[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3]]])
    focal, middle = 2.0 * side, 0.5 * side
    return Cameras(camera_to_worlds, focal, focal, middle, middle, side, side, camera_type=CameraType.PERSPECTIVE)


@pytest.fixture
def grids(monkeypatch: pytest.MonkeyPatch) -> list:
    """All pictures are large; the grids that were made for them."""
    made = []

    def make(*args):
        made.append(make_distance_grid(*args))
        return made[-1]

    monkeypatch.setattr(neus, "LARGE_PICTURE", 1)
    monkeypatch.setattr(neus, "make_distance_grid", make)
    return made


@pytest.mark.parametrize(("half", "centre"), [(1.0, 0.0), (2.0, 0.7)])
def test_large_pictures_of_the_surface_are_as_small_ones(grids: list, half: float, centre: float):
    model = sharp_sphere(half, centre, pictures="surface", background_color="white").eval()
    camera = a_camera()
    camera.camera_to_worlds[..., 3] = half * camera.camera_to_worlds[..., 3] + centre
    fast = model.get_outputs_for_camera(camera)
    assert len(grids) == 1
    neus.LARGE_PICTURE, model._known_grid = 24 * 24 + 1, None
    plain = model.get_outputs_for_camera(camera)
    assert len(grids) == 1
    assert 0.3 < float(plain["accumulation"].mean()) < 0.9
    for name in ("accumulation", "depth", "normals", "rgb"):
        torch.testing.assert_close(fast[name], plain[name], atol=1e-3 * half, rtol=0.0)


def test_a_grid_serves_until_the_surface_changes(grids: list):
    model = make_model(pictures="surface").eval()
    camera = a_camera()

    def made(change=lambda: None) -> int:
        change()
        model.eval().get_outputs_for_camera(camera)
        return len(grids)

    def train():
        model.train()(make_bundle())

    def load():
        model.load_state_dict(model.state_dict())

    def show_level():
        model.viewer_level.value = 0.05  # type: ignore[misc]

    assert [made(), made()] == [1, 1]
    assert [made(train), made()] == [2, 2]
    assert [made(load), made()] == [3, 3]
    assert [made(show_level), made()] == [4, 4]
    assert [made(lambda: model.set_progress(0.25)), made()] == [5, 5]
    train()
    model.viewer_pictures.value = "volume"  # type: ignore[misc]
    assert made() == 5
    model.viewer_pictures.value = "surface"  # type: ignore[misc]
    assert made() == 6


def test_a_training_step_is_seen_by_the_next_large_picture(grids: list):
    """A fused step of Adam leaves the parameters' versions as they were."""
    model = make_model(pictures="surface")
    camera, optimizer = a_camera(), torch.optim.Adam(model.parameters(), lr=0.02, fused=True)
    before = model.eval().get_outputs_for_camera(camera)["depth"]
    outputs = model.train()(make_bundle())
    sum(model.get_loss_dict(outputs, rgba_batch()).values()).backward()  # type: ignore[union-attr]
    optimizer.step()
    fast = model.eval().get_outputs_for_camera(camera)
    neus.LARGE_PICTURE = 1 << 30
    plain = model.get_outputs_for_camera(camera)
    assert float((plain["depth"] - before).abs().max()) > 0.02
    torch.testing.assert_close(fast["accumulation"], plain["accumulation"])
    torch.testing.assert_close(fast["depth"], plain["depth"], atol=6e-3, rtol=0.0)
