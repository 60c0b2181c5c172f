import pytest
import torch
from nerfstudio.data.scene_box import SceneBox

from nerf_plugins.errors import InputError
from nerf_plugins.fields.hash_encoding import HashEncodingConfig
from nerf_plugins.fields.neus_hash import NeuSHashConfig
from nerf_plugins.fields.sdf import Geometry, SDFField
from nerf_plugins.models.neus import NeuSModel, NeuSModelConfig
from nerf_plugins.models.outside import OutsideConfig
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.samplers.occupancy_grid import OccupancyGridConfig
from nerf_plugins.samplers.upsampling import SurfaceSamplerConfig
from tests.models.test_nerf import make_bundle, rgba_batch

FIELD = NeuSHashConfig(
    encoding=HashEncodingConfig(n_levels=4, base_resolution=4, max_resolution=32, log2_table_size=10), start_levels=4
)


class Sphere(SDFField):
    """Exact, red."""

    radius = 0.5

    def sdf(self, positions):
        return positions.norm(dim=-1) - self.radius

    def geometry(self, positions):
        return Geometry(self.sdf(positions), torch.nn.functional.normalize(positions, dim=-1), positions[:, :0])

    def color(self, positions, directions, geometry):
        return torch.tensor([1.0, 0.0, 0.0]).expand_as(positions)


def make_model(half: float = 1.0, centre: float = 0.0, **options) -> NeuSModel:
    torch.manual_seed(0)
    grid = OccupancyGridConfig(resolution=32, warmup_steps=16)
    surface = SurfaceSamplerConfig(OccupancySamplerConfig(grid=grid, steps_per_diagonal=128), explore=0.0)
    config = NeuSModelConfig(surface=surface, **{"field": FIELD, **options})
    aabb = torch.tensor([[-half] * 3, [half] * 3]) + centre
    return config.setup(scene_box=SceneBox(aabb=aabb), num_train_data=3, metadata={})


def sharp_sphere(half: float = 1.0, centre: float = 0.0, **options) -> NeuSModel:
    """A model whose field is the exact sphere, with its grid formed."""
    model = make_model(half, centre, initial_variance=0.6, **options)
    model.field = Sphere()
    for step in range(17):
        if model.occupancy_sampler is not None:
            model.occupancy_sampler.update(step, model.grid_density)
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
    samples = model.sampler.sample(rays, model.sdf, torch.tensor(20.0), stratified=False)
    n = len(samples.t_starts)
    padded = samples._replace(
        ray_indices=torch.cat([samples.ray_indices, samples.ray_indices.new_zeros(50)]),
        t_starts=torch.cat([samples.t_starts, torch.zeros(50)]),
        t_ends=torch.cat([samples.t_ends, torch.zeros(50)]),
    )
    assert n > 0
    exact, with_padding = (model._render_training(rays, s)[1]["eikonal_error"] for s in (samples, padded))
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
    curvatures = model._curvatures(torch.tensor([[0.5, 0.0, 0.0], [0.0, -0.25, 0.0]]))
    torch.testing.assert_close(curvatures, torch.tensor([4.0, 8.0]), rtol=2e-2, atol=0.0)


def test_annealing_follows_the_step_of_a_checkpoint():
    model = make_model(anneal_steps=100)
    model.update_to_step(25)
    assert model.progress == 0.25
    model.update_to_step(1000)
    assert model.progress == 1.0


def test_training_on_a_smaller_ball_shrinks_the_surface():
    model = make_model(anneal_steps=0)
    optimizer = torch.optim.Adam(model.get_param_groups()["fields"], lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    axis = torch.tensor([[0.8, 0.0, 0.0], [0.0, 0.8, 0.0], [0.0, 0.0, 0.8], [-0.8, 0.0, 0.0]])
    before = float(model.sdf(axis * 0.45).mean())
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
    assert before < 0 < float(model.sdf(axis * 0.45).mean())  # 0.36 was inside, and is outside of 0.25


@pytest.mark.parametrize("options", [{"eikonal_loss_mult": -1.0}, {"mask_loss_mult": -1.0}, {"anneal_steps": -1}])
def test_bad_options(options: dict):
    with pytest.raises(InputError, match=f"{next(iter(options))} must be >= 0, got -1"):
        NeuSModelConfig(**options)
