"""NeuS: a signed distance field, rendered by volume rendering that is sharp at its surface."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.viewer.viewer_elements import ViewerDropdown, ViewerSlider
from torch import Tensor
from torch.nn import Parameter

from nerf_plugins.calls import in_calls
from nerf_plugins.errors import InputError
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.fields.base import Parts, join_groups
from nerf_plugins.fields.neus_mlp import NeuSMLPConfig
from nerf_plugins.fields.sdf import Geometry, SDFField, SDFFieldConfig, Surface, Variance, points_a_call
from nerf_plugins.models.outside import Behind, OutsideConfig, OutsideScene
from nerf_plugins.models.volumetric import VolumetricModel, VolumetricModelConfig
from nerf_plugins.ops import Composited, PackedSamples, composite, eikonal_error, sdf_densities
from nerf_plugins.rays import Needs, Points, Rays
from nerf_plugins.samplers.distance_grid import DistanceGrid, make_distance_grid
from nerf_plugins.samplers.sphere_tracing import Hits, trace, trace_with_grid
from nerf_plugins.samplers.surface import SurfaceSamplerConfig
from nerf_plugins.samplers.upsampling import UpSamplingSamplerConfig
from nerf_plugins.spaces import CubeSpace

LARGE_PICTURE = 1 << 15
"""Rays of a picture of the surface from which a grid of distances is made for it: that takes as long as some 100,000 rays do without one,
and serves all pictures until the field changes."""

_BALL_BEFORE_CAMERAS = 0.7
"""The ball that a surface starts as reaches so far to the nearest camera."""
_SMALLEST_BALL = 0.05
"""Its least radius, in units of half the scene box, however near a camera is to the middle."""


@dataclass
class NeuSModelConfig(VolumetricModelConfig):
    """NeuS"""

    _target: type = field(default_factory=lambda: NeuSModel, kw_only=True)
    """target class to instantiate"""
    sampler: Literal["surface", "upsampling"] = "surface"
    """surface: march an occupancy grid to the surface. upsampling: the paper's 64 + 64 samples on each of train_num_rays_per_batch rays."""
    surface: SurfaceSamplerConfig = field(default_factory=SurfaceSamplerConfig)
    """The sampler that marches an occupancy grid."""
    upsampling: UpSamplingSamplerConfig = field(default_factory=UpSamplingSamplerConfig)
    """The paper's sampler."""
    pictures: Literal["volume", "surface"] = "volume"
    """How evaluation and the viewer see it. volume: composited, as in training.
    surface: the colour of one point a ray, the first on the surface (sphere tracing).
    That is faster, has hard edges, and is not what is trained: its PSNR is another."""
    outside: OutsideConfig = field(default_factory=OutsideConfig)
    """What is outside the scene box, for scenes without masks."""
    field: SDFFieldConfig = field(default_factory=NeuSMLPConfig)
    """The network."""
    initial_variance: float = 0.3
    """The surface starts with the sharpness inv_s = exp(10 * this), in 1 / half the scene box."""
    anneal_steps: int = 2000
    """Steps over which sections that face away from the camera lose their influence (cosine annealing).
    Over the same steps a field that learns from coarse to fine becomes fine."""
    eikonal_loss_mult: float = 0.1
    """Weight of the loss that keeps the distance a distance."""
    mask_loss_mult: float = 0.1
    """Weight of the binary cross entropy between opacity and the images' alpha, where they have one."""
    curvature_loss_mult: float = 0.0
    """Weight of the mean curvature (Neuralangelo's); 0 for none."""
    curvature_eps: float = 0.01
    """Distance of the points that the curvature is computed from, in units of half the scene box."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("eikonal_loss_mult", "mask_loss_mult", "curvature_loss_mult", "anneal_steps"):
            if getattr(self, name) < 0:
                raise InputError(f"model: {name} must be >= 0, got {getattr(self, name)}")
        if not self.curvature_eps > 0:
            raise InputError(f"model: curvature_eps must be > 0, got {self.curvature_eps}")


class NeuSModel(VolumetricModel):
    """NeuS. All lengths inside are in units of half the scene box's longest side (see :class:`CubeSpace`).

    Source: Wang et al., NeuS: Learning Neural Implicit Surfaces by Volume Rendering, 2021.
    """

    config: NeuSModelConfig
    space: CubeSpace
    field: SDFField
    _grid: DistanceGrid | None = None
    """Of the surface of the picture that is made."""
    _known_grid: tuple[DistanceGrid, object] | None = None
    """The last one that was made, and what of."""

    def populate_modules(self) -> None:
        """Builds space, field, sampler, background and the viewer's controls."""
        super().populate_modules()
        self.variance = Variance(self.config.initial_variance)
        self.outside = OutsideScene(self.config.outside, self.scene_box.aabb) if self.config.outside.n_samples else None
        self.viewer_pictures = ViewerDropdown(
            "Pictures",
            self.config.pictures,
            ["volume", "surface"],
            hint="Composited, or one point of the surface a ray",
        )
        self.viewer_level = ViewerSlider(
            "SDF level", 0.0, -0.1, 0.1, 0.001, hint="Distance to the surface that is shown"
        )

    def make_space(self, metadata: dict[str, Any]) -> CubeSpace:
        """The scene box, scaled evenly; what lies outside is up to ``outside``."""
        return CubeSpace(self.scene_box.aabb)

    def make_field(self) -> SDFField:
        """A field as the configuration describes it, whose first ball holds no camera: one that stands in it sees its inside, and learns a
        wall before itself in place of the scene."""
        config, nearest = self.config.field, self.metadata.get("nearest_camera")
        if nearest is not None and not config.inside_out:
            half = 0.5 * float((self.scene_box.aabb[1] - self.scene_box.aabb[0]).max())
            config = replace(
                config, radius=min(config.radius, max(_BALL_BEFORE_CAMERAS * nearest / half, _SMALLEST_BALL))
            )
        return config.setup(dataset=self.known_of_photos())

    @property
    def scene(self) -> Surface:
        """The surface as it is now; in pictures the level that the viewer's slider says."""
        return self._surface(self.variance())

    def _surface(self, inv_s: Tensor) -> Surface:
        level = 0.0 if self.training else float(self.viewer_level.value)
        return Surface(self.field, inv_s.detach(), level)

    @property
    def needs(self) -> Needs:
        """The shared ones, and those of what is outside."""
        return super().needs if self.outside is None else super().needs | self.outside.needs

    def get_param_groups(self) -> dict[str, list[Parameter]]:
        """The shared ones, and "variance", which must grow slowly: far from a sharp surface nothing is learnt."""
        groups = super().get_param_groups() | {"variance": list(self.variance.parameters())}
        return groups if self.outside is None else join_groups(groups, self.outside.param_groups())

    def parts(self) -> Parts:
        """The shared ones; the sharpness is "geometry"."""
        parts = join_groups(super().parts(), {"geometry": list(self.variance.parameters())})
        return parts if self.outside is None else join_groups(parts, self.outside.parts())

    def progress_at(self, step: int) -> float:
        """The share of ``anneal_steps`` that is done."""
        return min(step / self.config.anneal_steps, 1.0) if self.config.anneal_steps else 1.0

    def set_progress(self, progress: float) -> None:
        """Tells the fields, that of what is outside too."""
        super().set_progress(progress)
        if self.outside is not None:
            self.outside.set_progress(progress)

    def get_training_callbacks(self, attributes: TrainingCallbackAttributes) -> list[TrainingCallback]:
        """The shared one, and one for what is outside."""
        callbacks = super().get_training_callbacks(attributes)
        if self.outside is None:
            return callbacks
        before = [TrainingCallbackLocation.BEFORE_TRAIN_ITERATION]
        return [*callbacks, TrainingCallback(before, self.outside.before_step, update_every_num_iters=1)]

    def update_to_step(self, step: int) -> None:
        """Called when a checkpoint of this step is loaded."""
        super().update_to_step(step)
        if self.outside is not None:
            self.outside.sampler.set_step(step)

    def implicit_surface(self, time: float = 0.0) -> ImplicitSurface:
        """Where the distance is 0, or the viewer's level."""
        scene = self.scene._replace(level=0.0)

        def value(positions: Tensor) -> Tensor:
            return scene.sdf(self._points_at(self.space.from_world(positions), time)) * self.space.scale

        def color_of(positions: Tensor, directions: Tensor) -> Tensor:
            points = self._points_at(self.space.from_world(positions), time, directions)
            return self.field.color(points, self.field.geometry(points))

        @torch.no_grad()
        def color(positions: Tensor, directions: Tensor) -> Tensor:
            return in_calls(color_of, positions, directions, size=points_a_call(positions.device))

        level = float(self.viewer_level.value) * float(self.space.scale)
        return ImplicitSurface(value, level, self.scene_box.aabb.to(self.device), color)

    def get_outputs(self, ray_bundle: RayBundle) -> dict[str, Any]:
        """Renders rays.

        Returns:
            ``rgb`` (n, 3), ``accumulation`` (n, 1, of what is inside the box), ``depth`` (n, 1, world distance); in pictures ``normals``
            (n, 3) in [0, 1], in training ``background`` (n, 3), ``samples`` with their ``weights``, ``n_samples`` (n,),
            ``n_dropped_rays`` (), ``n_looked_at`` (n,), ``inv_s`` (), ``eikonal_error`` (), ``losses``, a dictionary, and, where it is
            asked for, ``curvature`` ().
        """
        rays, inv_s = self._rays(ray_bundle), self.variance()
        scene = self._surface(inv_s)
        if self.training:
            self._known_grid = None  # the optimizer says nothing: a fused step leaves a parameter's version as it was
        elif self.viewer_pictures.value == "surface":
            return self._surface_picture(rays, scene)
        sampling = self.sampler.sample(rays, scene, stratified=self.training)
        background = self._background(rays)
        behind = self._behind(rays, background)
        if not self.training:
            rendered, normals = self._render_picture(rays, sampling.samples, scene)
            return self._describe(rendered, rays, behind.rgb) | {"normals": 0.5 + 0.5 * normals}
        rendered, points, regularisers = self._render_training(rays, sampling.samples, inv_s)
        outputs: dict[str, Any] = self._describe(rendered, rays, behind.rgb) | regularisers | {"inv_s": inv_s.detach()}
        outputs |= self._training_outputs(background, sampling, rendered, points)
        outputs["losses"] |= {f"outside_{name}": loss for name, loss in behind.losses.items()}
        return outputs

    def colors_of(self, ray_bundle: RayBundle) -> Tensor:
        """See :class:`VolumetricModel`."""
        rays, inv_s = self._rays(ray_bundle), self.variance()
        samples = self.sampler.sample(rays, self._surface(inv_s), stratified=False).samples
        background = self._background(rays)
        behind = self._behind(rays, background)
        _, sigmas, rgbs, _ = self._evaluate(rays, samples, slice(None), inv_s)
        rendered = composite(sigmas, rgbs, samples.t_starts, samples.t_ends, samples.packed_info)
        return self._describe(rendered, rays, behind.rgb)["rgb"]

    def _behind(self, rays: Rays, background: Tensor) -> Behind:
        """What rays see that meet nothing in the box."""
        if self.outside is None:
            return Behind(background, {})
        return self.outside(self.space, rays, background, self.training)

    def get_outputs_for_camera_ray_bundle(self, camera_ray_bundle: RayBundle) -> dict[str, Tensor]:
        """nerfstudio's; before a large picture of the surface alone the grid of its distances is made, unless it is known."""
        is_large = camera_ray_bundle.size >= LARGE_PICTURE
        self._grid = self._grid_now() if is_large and self.viewer_pictures.value == "surface" else None
        try:
            return super().get_outputs_for_camera_ray_bundle(camera_ray_bundle)
        finally:
            self._grid = None

    def _grid_now(self) -> DistanceGrid:
        """The distances of the surface as it is now."""
        scene = self.scene
        parameters = [(parameter.data_ptr(), parameter._version) for parameter in self.field.parameters()]
        made_of = (scene.level, self.progress, parameters)
        if self._known_grid is None or self._known_grid[1] != made_of:
            self._known_grid = make_distance_grid(scene, self.space), made_of
        return self._known_grid[0]

    def _trace(self, rays: Rays, scene: Surface) -> Hits:
        places = (scene, self.space, rays, *self.space.clip(rays))
        return trace(*places) if self._grid is None else trace_with_grid(*places, self._grid)

    @torch.no_grad()
    def _surface_picture(self, rays: Rays, scene: Surface) -> dict[str, Tensor]:
        """Of each ray the first point on the surface: its colour, and its normal."""
        t, hit = self._trace(rays, scene)
        which = hit.nonzero()[:, 0]
        rgb, normals = torch.zeros_like(rays.origins), torch.zeros_like(rays.origins)
        for part in which.split(points_a_call(t.device)):
            points = self.space.points(rays, part, t[part], t[part], self.field.needs)
            geometry = self.field.geometry(points)
            rgb[part] = self.field.color(points, geometry)
            normals[part] = F.normalize(geometry.gradients, dim=-1)
        opacity = hit.to(rgb)
        seen = Composited(rgb, opacity, t, t, opacity)
        behind = self._behind(rays, self._background(rays)).rgb
        return self._describe(seen, rays, behind) | {"normals": 0.5 + 0.5 * normals}

    def _evaluate(
        self, rays: Rays, samples: PackedSamples, part: slice, inv_s: Tensor, level: float = 0.0
    ) -> tuple[Points, Tensor, Tensor, Geometry]:
        """Some samples' points, densities, colours and geometry."""
        t_starts, t_ends = samples.t_starts[part], samples.t_ends[part]
        points = self.space.points(rays, samples.ray_indices[part], t_starts, t_ends, self.field.needs)
        assert points.directions is not None
        assert points.ray_indices is not None
        geometry = self.field.geometry(points)
        sdf = geometry.sdf - level if level else geometry.sdf
        places = (points.directions, points.ray_indices, t_starts, t_ends)
        sigmas = sdf_densities(sdf, geometry.gradients, *places, inv_s, self.progress)
        return points, sigmas, self.field.color(points, geometry), geometry

    def _render_training(
        self, rays: Rays, samples: PackedSamples, inv_s: Tensor
    ) -> tuple[Composited, Points, dict[str, Tensor]]:
        points, sigmas, rgbs, geometry = self._evaluate(rays, samples, slice(None), inv_s)
        rendered = composite(sigmas, rgbs, samples.t_starts, samples.t_ends, samples.packed_info)
        regularisers = {"eikonal_error": eikonal_error(geometry.gradients, samples.t_starts, samples.t_ends)}
        if self.config.curvature_loss_mult > 0:
            is_sample = (samples.t_ends > samples.t_starts).float()  # and not padding of a fixed buffer
            curvatures = self._curvatures(points)
            regularisers["curvature"] = (curvatures * is_sample).sum() / is_sample.sum().clamp(min=1.0)
        return rendered, points, regularisers

    def _curvatures(self, points: Points) -> Tensor:
        """Absolute Laplacian of the distance by central differences, (n,). Source: Li et al., Neuralangelo, 2023, equation 8."""
        eps = self.config.curvature_eps
        axes = torch.eye(3, device=points.positions.device)
        around = torch.zeros_like(points.positions[:, 0])
        for offset in eps * torch.cat([axes, -axes]):
            around = around + self.field.sdf(points._replace(positions=points.positions + offset))
        return ((around - 6.0 * self.field.sdf(points)) / eps**2).abs()

    @torch.no_grad()
    def _render_picture(self, rays: Rays, samples: PackedSamples, scene: Surface) -> tuple[Composited, Tensor]:
        """Rendered rays and their composited unit normals (n, 3); memory is bounded by the samples' own arrays."""
        n, size = len(samples.t_starts), points_a_call(samples.t_starts.device)
        parts = []
        for i in range(0, max(n, 1), size):
            _, sigmas, rgbs, geometry = self._evaluate(rays, samples, slice(i, i + size), scene.inv_s, scene.level)
            parts.append((sigmas, rgbs, geometry.gradients))
        sigmas, rgbs, gradients = (torch.cat(values) for values in zip(*parts))
        packed = (samples.t_starts, samples.t_ends, samples.packed_info)
        early_stop_eps = float(self.viewer_early_stop.value)
        rendered = composite(sigmas, rgbs, *packed, early_stop_eps=early_stop_eps)
        return rendered, composite(sigmas, F.normalize(gradients, dim=-1), *packed, early_stop_eps=early_stop_eps).rgb

    def get_loss_dict(
        self, outputs: dict[str, Any], batch: dict[str, Any], metrics_dict: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Mean absolute error of the colour, eikonal loss, and the optional ones."""
        background = outputs.get("background", self.picture_background)
        image = batch["image"].to(self.device)
        losses = {"rgb_loss": (outputs["rgb"] - self._target(image, background)).abs().mean()}
        if "eikonal_error" in outputs:
            losses["eikonal_loss"] = self.config.eikonal_loss_mult * outputs["eikonal_error"]
        if "curvature" in outputs:
            losses["curvature_loss"] = self.config.curvature_loss_mult * outputs["curvature"]
        if image.shape[-1] == 4 and self.config.mask_loss_mult > 0:
            opacity = F.hardtanh(outputs["accumulation"], 1e-3, 1.0 - 1e-3)  # a clamp; see Variance
            losses["mask_loss"] = self.config.mask_loss_mult * F.binary_cross_entropy(opacity, image[..., 3:])
        losses |= outputs.get("losses", {}) | self._depth_losses(outputs, batch)
        self.camera_optimizer.get_loss_dict(losses)
        return losses

    @torch.no_grad()
    def get_metrics_dict(self, outputs: dict[str, Tensor], batch: dict[str, Any]) -> dict[str, Tensor]:
        """The shared ones, ``inv_s`` and the eikonal error."""
        metrics = super().get_metrics_dict(outputs, batch)
        metrics["inv_s"] = outputs["inv_s"] if "inv_s" in outputs else self.variance()
        if "eikonal_error" in outputs:
            metrics["eikonal_error"] = outputs["eikonal_error"]
        return metrics

    def get_image_metrics_and_images(
        self, outputs: dict[str, Tensor], batch: dict[str, Any]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """The shared ones and the normals."""
        metrics, images = super().get_image_metrics_and_images(outputs, batch)
        return metrics, images | {"normals": outputs["normals"]}
