import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.model_components.renderers import background_color_override_context

from nerf_plugins.errors import InputError
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.models.metrics import image_metrics
from nerf_plugins.models.nerf import NerfModel, NerfModelConfig
from nerf_plugins.rays import NOTHING, Points
from nerf_plugins.rendering import render_samples, render_samples_in_rounds
from nerf_plugins.samplers.occupancy import OccupancySampler, OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.proposal import ProposalSampler

from .common import make_bundle, rgba_batch

SMALL_FIELD = NeRFMLPConfig(D=2, W=32, skips=(), position_frequencies=4)
NDC = {"focal_x": 1.0, "focal_y": 1.0, "near": 1.0}


def make_model(metadata: dict | None = None, **options) -> NerfModel:
    torch.manual_seed(0)
    config = NerfModelConfig(
        field=SMALL_FIELD,
        occupancy=OccupancySamplerConfig(
            grid=OccupancyGridConfig(resolution=16, warmup_steps=16), steps_per_diagonal=64, warmup_coarseness=1.0
        ),
        **options,
    )
    box = SceneBox(aabb=torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))
    return config.setup(scene_box=box, num_train_data=3, metadata=metadata or {})


@pytest.mark.parametrize("sampler", ["occupancy", "hierarchical", "two_pass", "proposal"])
@pytest.mark.parametrize("metadata", [{}, {"cameras_inside_box": True}, {"ndc": NDC}], ids=["box", "contracted", "ndc"])
def test_outputs_in_every_space_with_every_sampler(sampler: str, metadata: dict):
    model = make_model(metadata, sampler=sampler).eval()
    with torch.no_grad():
        outputs = model(make_bundle())
    assert next(iter(outputs)) == "rgb"
    names = {"rgb": 3, "accumulation": 1, "depth": 1}
    if sampler in ("hierarchical", "two_pass"):
        names |= {f"{name}_coarse": size for name, size in names.items()}
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {k: (16, v) for k, v in names.items()}
    for value in outputs.values():
        assert value.dtype == torch.float32
        assert value.isfinite().all()
    assert ((outputs["accumulation"] >= 0) & (outputs["accumulation"] <= 1 + 1e-5)).all()


@pytest.mark.parametrize(
    ("sampler", "n_parameters"), [("occupancy", 12), ("hierarchical", 24), ("two_pass", 12), ("proposal", 17)]
)
def test_a_step_trains_every_parameter(sampler: str, n_parameters: int):
    model = make_model(sampler=sampler).train()
    outputs = model(make_bundle())
    sum(model.get_loss_dict(outputs, rgba_batch()).values()).backward()
    parameters = model.get_param_groups()["fields"]
    assert len(parameters) == n_parameters
    for parameter in parameters:
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("metadata", "sampler"), [({}, OccupancySampler), ({"cameras_inside_box": True}, ProposalSampler)]
)
def test_auto_takes_the_sampler_that_suits_the_space(metadata: dict, sampler: type):
    assert isinstance(make_model(metadata, sampler="auto").sampler, sampler)


def test_depth_is_the_distance_to_an_opaque_wall():
    model = make_model().eval()

    def wall(points: Points) -> tuple[torch.Tensor, torch.Tensor]:
        p = points.positions
        return torch.where(p[:, 2] < 0.5, 1e4, 0.0), torch.full((len(p), 3), 0.25)

    wall.needs = NOTHING
    rays = model.space.rays(make_bundle(), 0.05, 1e3)
    samples = model.sampler.march.march_for_render(rays)
    rendered = render_samples(wall, model.space, rays, samples).composited
    expected = (3.0 - 0.5) / -rays.directions[:, 2]
    assert torch.allclose(rendered.depth, expected, atol=1.5 * model.sampler.march.step_size)
    assert torch.allclose(rendered.accumulation, torch.ones(16), atol=1e-5)
    assert torch.allclose(rendered.rgb, torch.full((16, 3), 0.25), atol=1e-5)


def test_near_a_camera_gradients_are_smaller_by_the_square_of_the_distance():
    """Of each sample's density and colour; the picture stays what it is."""
    model = make_model()
    rays = model.space.rays(make_bundle(), 0.05, 1e3)
    samples = model.sampler.march.march_for_render(rays)
    middles = 0.5 * (samples.t_starts + samples.t_ends)
    radius = float(middles.median())
    seen = {}
    for distance in (0.0, radius):
        leaves = torch.full_like(middles, 0.3).requires_grad_(), torch.full((len(middles), 3), 0.4).requires_grad_()

        def radiance(points: Points, leaves=leaves) -> tuple[torch.Tensor, torch.Tensor]:
            return leaves

        radiance.needs = NOTHING
        rendered = render_samples(radiance, model.space, rays, samples, calm_distance=distance).composited
        (rendered.rgb * torch.linspace(1, 2, 3)).sum().backward()
        seen[distance] = rendered.rgb.detach(), *[leaf.grad for leaf in leaves]
    share = (middles / radius).clamp(max=1.0) ** 2
    assert 0.2 < (share < 1.0).float().mean() < 0.8
    (rgb, of_sigmas, of_rgbs), scaled = seen[0.0], seen[radius]
    torch.testing.assert_close(scaled[0], rgb)
    torch.testing.assert_close(scaled[1], of_sigmas * share)
    torch.testing.assert_close(scaled[2], of_rgbs * share[:, None])


def test_where_rays_are_as_dense_everywhere_no_gradient_is_scaled():
    model = make_model()
    rays = model.space.rays(make_bundle(), 0.05, 1e3)
    samples = model.sampler.march.march_for_render(rays)
    sigmas = torch.full_like(samples.t_starts, 0.3).requires_grad_()

    def radiance(points: Points) -> tuple[torch.Tensor, torch.Tensor]:
        return sigmas, torch.full((len(sigmas), 3), 0.4)

    radiance.needs = NOTHING
    grads = []
    for shape in ("cylinder", "cone"):
        model.space.ray_shape = shape
        (grad,) = torch.autograd.grad(
            render_samples(radiance, model.space, rays, samples, calm_distance=9.0).composited.rgb.sum(), sigmas
        )
        grads.append(grad)
    assert (grads[0].abs() > 1.5 * grads[1].abs()).any()
    (plain,) = torch.autograd.grad(render_samples(radiance, model.space, rays, samples).composited.rgb.sum(), sigmas)
    torch.testing.assert_close(grads[0], plain)


def test_pictures_have_the_values_of_training():
    model = make_model().eval()
    torch.nn.init.constant_(model.field.density_head.bias, 2.0)
    rays = model.space.rays(make_bundle(), 0.05, 1e3)
    samples = model.sampler.march.march_for_render(rays)
    direct = render_samples(model.field, model.space, rays, samples, early_stop_eps=1e-2).composited
    rounds = render_samples_in_rounds(model.field, model.space, rays, samples, early_stop_eps=1e-2)
    for a, b in zip(direct, rounds):
        assert torch.allclose(a, b, atol=1e-5)
    assert (direct.accumulation > 0.99).any()  # some rays did stop early


def test_early_stop_evaluates_fewer_samples():
    model, seen = make_model().eval(), []

    def fog(points: Points) -> tuple[torch.Tensor, torch.Tensor]:
        n = len(points.positions)
        seen.append(n)
        return torch.full((n,), 1e3), torch.ones(n, 3)

    fog.needs = NOTHING

    rays = model.space.rays(make_bundle(), 0.05, 1e3)
    samples = model.sampler.march.march_for_render(rays)
    render_samples_in_rounds(fog, model.space, rays, samples, early_stop_eps=1e-3)
    assert sum(seen) == 16 * 8  # one round


@pytest.mark.parametrize("sampler", ["occupancy", "hierarchical"])
@pytest.mark.parametrize("n", [0, 1])
def test_few_rays(sampler: str, n: int):
    model = make_model(sampler=sampler).eval()
    with torch.no_grad():
        assert model(make_bundle(n))["rgb"].shape == (n, 3)


@pytest.mark.parametrize("sampler", ["occupancy", "hierarchical"])
def test_rays_that_see_nothing_have_the_background_and_no_gradient(sampler: str):
    model = make_model(sampler=sampler, background_color="white").train()
    bundle = make_bundle()
    bundle.nears = torch.full((16, 1), 1e10)  # what the viewer's crop gives a ray that misses
    bundle.fars = torch.full((16, 1), 1e10)
    outputs = model(bundle)
    assert torch.equal(outputs["rgb"], torch.ones(16, 3))
    assert not outputs["accumulation"].any()
    sum(model.get_loss_dict(outputs, rgba_batch()).values()).backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_an_empty_grid_gives_the_background_and_trains_on():
    model = make_model().train()
    model.sampler.march.grid.occupied.zero_()
    outputs = model(make_bundle())
    assert torch.equal(outputs["rgb"], outputs["background"])
    sum(model.get_loss_dict(outputs, rgba_batch()).values()).backward()


def test_rgba_is_blended_over_the_same_random_colour():
    model = make_model().train()
    outputs = model(make_bundle())
    assert outputs["background"].std() > 0.1
    image = rgba_batch()["image"]
    target = image[:, :3] * image[:, 3:] + outputs["background"] * (1 - image[:, 3:])
    outputs["rgb"] = target
    assert float(model.get_loss_dict(outputs, {"image": image})["rgb_loss"]) == pytest.approx(0.0, abs=1e-12)


def test_earlier_passes_count_as_their_factor_says():
    model = make_model(sampler="two_pass").train()
    outputs = model(make_bundle(2)) | {"losses": {}}
    outputs["rgb"], outputs["rgb_coarse"] = torch.zeros(2, 3), torch.ones(2, 3)
    image = torch.tensor([[1.0, 1.0, 1.0], [0.5, 0.5, 0.5]])
    plain = model.get_loss_dict(outputs, {"image": image})
    assert {name: float(loss) for name, loss in plain.items()} == pytest.approx(
        {"rgb_loss": (1 + 0.25) / 2, "rgb_loss_coarse": 0.1 * (0 + 0.25) / 2}
    )


def test_background_in_pictures_is_the_datasets_or_the_viewers():
    model = make_model({"alpha_color": [1.0, 1.0, 1.0]}).eval()
    model.sampler.march.grid.occupied.zero_()
    with torch.no_grad():
        assert torch.equal(model(make_bundle())["rgb"], torch.ones(16, 3))
        with background_color_override_context(torch.tensor([0.1, 0.2, 0.3])):
            assert torch.allclose(model(make_bundle())["rgb"], torch.tensor([0.1, 0.2, 0.3]).expand(16, 3))


def test_rgba_image_has_the_true_alpha_and_no_background():
    model = make_model({"alpha_color": [1.0, 1.0, 1.0]}).eval()
    colour, alpha = torch.tensor([0.2, 0.4, 0.6]), torch.tensor([[[0.5], [1.0], [0.0]]])
    outputs = {"rgb": colour * alpha + (1 - alpha), "accumulation": alpha}
    rgba = model.get_rgba_image(outputs)
    assert torch.equal(rgba[..., 3:], alpha)
    assert torch.allclose(rgba[0, :2, :3], colour.expand(2, 3), atol=1e-6)
    assert not rgba[0, 2].any()


def test_a_camera_is_rendered_in_chunks_that_do_not_matter():
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
    model = make_model().eval()
    whole = model.get_outputs_for_camera(camera)
    model.config.eval_num_rays_per_chunk = 17
    pieces = model.get_outputs_for_camera(camera)
    assert whole["rgb"].shape == (12, 16, 3)
    for name in whole:
        assert torch.allclose(whole[name], pieces[name], atol=1e-5)


def test_a_camera_without_pixels_is_rendered_as_one_pixel():
    """A browser's window has no height while it opens."""
    pose = torch.tensor([[[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3]]])
    camera = Cameras(pose, fx=20.0, fy=20.0, cx=8.0, cy=0.0, width=16, height=0, camera_type=CameraType.PERSPECTIVE)
    assert make_model().eval().get_outputs_for_camera(camera)["depth"].shape == (1, 16, 1)
    assert int(camera.height) == 1


@pytest.mark.parametrize(("height", "names"), [(5, {"psnr"}), (6, {"psnr", "ssim"})])
def test_image_metrics_of_images_that_are_smaller_than_a_window(height: int, names: set[str]):
    image = torch.rand(height, 30, 3)
    assert set(image_metrics(image, image)) == names


def test_image_metrics_without_lpips(monkeypatch: pytest.MonkeyPatch):
    import torchmetrics.image.lpip as lpip

    from nerf_plugins.models import metrics

    def no_network(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(lpip, "LearnedPerceptualImagePatchSimilarity", no_network)
    metrics.lpips_model.cache_clear()
    image = torch.rand(40, 40, 3)
    values = metrics.image_metrics(image, (image + 0.1).clamp(0, 1))
    metrics.lpips_model.cache_clear()
    assert set(values) == {"psnr", "ssim"}
    assert 20 <= values["psnr"] < 22
    assert 0.8 < values["ssim"] < 1.0


def test_metrics_of_a_step():
    model = make_model().train()
    outputs = model(make_bundle())
    metrics = model.get_metrics_dict(outputs, rgba_batch())
    assert float(metrics["occupied_fraction"]) == 1.0
    assert 20 < float(metrics["samples_per_ray"]) < 70
    assert float(metrics["dropped_rays"]) == 0.0


def test_same_seed_same_numbers():
    def run() -> torch.Tensor:
        model = make_model().train()
        optimizer = torch.optim.Adam(model.get_param_groups()["fields"], lr=1e-3)
        for step in range(5):
            model.sampler.before_step(step, model.scene)
            loss = sum(model.get_loss_dict(model(make_bundle()), rgba_batch()).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss

    assert float(run()) == float(run())


def test_viewer_controls_take_every_allowed_value():
    slider = make_model(early_stop_eps=0.5).viewer_early_stop
    assert slider.min <= slider.value <= slider.max


def test_state_dict_holds_the_grid():
    model, other = make_model(), make_model()
    model.sampler.march.grid.densities.uniform_()
    model.sampler.march.grid.occupied.bernoulli_(0.5)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.sampler.march.grid.occupied, model.sampler.march.grid.occupied)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"near_plane": 2.0, "far_plane": 1.0}, "near_plane"),
        ({"early_stop_eps": 1.0}, "early_stop_eps"),
        ({"enable_collider": True}, "enable_collider is not used here: set the model.s near_plane"),
        ({"cuda_graph": True, "sampler": "hierarchical"}, "cuda_graph"),
        ({"cuda_graph": True, "occupancy": OccupancySamplerConfig(marcher="nerfacc")}, "cuda_graph"),
    ],
)
def test_bad_options_are_named(options: dict, name: str):
    with pytest.raises(InputError, match=name):
        NerfModelConfig(**options)


def test_a_field_that_is_to_be_replayed_is_stored_once_and_is_itself_on_the_cpu():
    plain, replayed = make_model(), make_model(cuda_graph=True)
    assert plain.state_dict().keys() == replayed.state_dict().keys()
    assert replayed.graphed_field is not None
    assert replayed.graphed_field.field is replayed.field


def test_schedules_go_on_from_a_checkpoint_and_end_with_the_training():
    model = make_model()
    model.last_step = 10_000
    assert [model.progress_at(step) for step in (0, 5_000, 9_999)] == pytest.approx([0.0, 0.5, 0.9999])
    # Killed after 6,000 of 10,000 steps: to the end as before; or with 10,000 more, not back to 6 in 16.
    model.take_up(5_999, 0.5999)
    assert [model.progress_at(step) for step in (6_000, 8_000, 9_999)] == pytest.approx([0.6, 0.8, 0.9999])
    model.last_step = 16_000
    assert [model.progress_at(step) for step in (5_999, 11_000, 16_000)] == pytest.approx([0.5999, 0.8, 1.0], abs=1e-4)
    # One that is complete stays so while it is fine-tuned.
    model.take_up(9_999, 0.9999)
    model.last_step = 11_000
    assert model.progress_at(10_000) >= 0.9999
    assert model.progress == 0.9999
