"""NeuS: a signed distance field, rendered by volume rendering that is sharp at its surface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.viewer.viewer_elements import ViewerSlider
from torch import Tensor, nn
from torch.nn import Parameter

from nerf_plugins.errors import InputError
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.fields.neus_mlp import NeuSMLPConfig
from nerf_plugins.fields.sdf import SDFField, SDFFieldConfig, Variance
from nerf_plugins.models.outside import OutsideConfig, OutsideScene
from nerf_plugins.models.volumetric import VolumetricModel, VolumetricModelConfig
from nerf_plugins.ops import Composited, PackedSamples, anneal_slopes, composite, sdf_optical_depths
from nerf_plugins.samplers.occupancy import OccupancySampler
from nerf_plugins.samplers.upsampling import (
    SURFACE_MARCH_ROOM,
    SurfaceSampler,
    SurfaceSamplerConfig,
    UpSamplingSampler,
    UpSamplingSamplerConfig,
)
from nerf_plugins.spaces import CubeSpace, Rays

# Positions a network call outside of training: pictures, the march, the grid, meshes.
_POSITIONS_A_CALL = {"cpu": 1 << 13, "cuda": 1 << 17}


@dataclass
class NeuSModelConfig(VolumetricModelConfig):
    """NeuS"""

    _target: type = field(default_factory=lambda: NeuSModel, kw_only=True)
    """target class to instantiate"""
    sampler: Literal["surface", "upsampling"] = "surface"
    """surface: march an occupancy grid to the surface. upsampling: the paper's 64 + 64 samples on each of train_num_rays_per_batch rays."""
    surface: SurfaceSamplerConfig = field(default_factory=SurfaceSamplerConfig)
    """The sampler through the occupancy grid."""
    upsampling: UpSamplingSamplerConfig = field(default_factory=UpSamplingSamplerConfig)
    """The paper's sampler."""
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
    progress: float = 1.0
    """Share of ``anneal_steps`` that is done."""

    def populate_modules(self) -> None:
        """Builds space, sampler, field, background and the viewer's controls."""
        super().populate_modules()
        self.field = self.config.field.setup()
        self.variance = Variance(self.config.initial_variance)
        self.outside = OutsideScene(self.config.outside, self.scene_box.aabb) if self.config.outside.n_samples else None
        if self.config.sampler == "surface":
            self.sampler: SurfaceSampler | UpSamplingSampler = SurfaceSampler(self.config.surface, self.space)
            self.ray_budget = self._make_ray_budget(self.config.surface.occupancy)
        else:
            self.sampler = UpSamplingSampler(self.config.upsampling, self.space)
        self.viewer_level = ViewerSlider(
            "SDF level", 0.0, -0.1, 0.1, 0.001, hint="Distance to the surface that is shown"
        )

    def make_space(self, metadata: dict[str, Any]) -> CubeSpace:
        """The scene box, scaled evenly; what lies outside is up to ``outside``."""
        return CubeSpace(self.scene_box.aabb)

    @property
    def occupancy_sampler(self) -> OccupancySampler | None:
        """The march to the surface, unless the sampler is the paper's."""
        return self.sampler.march if isinstance(self.sampler, SurfaceSampler) else None

    def get_param_groups(self) -> dict[str, list[Parameter]]:
        """ "fields": the field and what is outside; "variance", which must grow slowly: far from a sharp surface nothing is learnt."""
        modules: list[nn.Module] = [self.field] if self.outside is None else [self.field, self.outside]
        fields = [parameter for module in modules for parameter in module.parameters()]
        return {"fields": fields, "variance": list(self.variance.parameters())} | super().get_param_groups()

    def get_training_callbacks(self, attributes: TrainingCallbackAttributes) -> list[TrainingCallback]:
        """The shared ones, and the annealing."""
        anneal = TrainingCallback(
            [TrainingCallbackLocation.BEFORE_TRAIN_ITERATION], self._set_progress, update_every_num_iters=1
        )
        return [anneal, *super().get_training_callbacks(attributes)]

    def update_to_step(self, step: int) -> None:
        """Called when a checkpoint of this step is loaded."""
        super().update_to_step(step)
        self._set_progress(step)

    def _set_progress(self, step: int) -> None:
        self.progress = min(step / self.config.anneal_steps, 1.0) if self.config.anneal_steps else 1.0
        self.field.set_progress(self.progress)

    @torch.no_grad()
    def sdf(self, positions: Tensor) -> Tensor:
        """Distances (n,) at positions (n, 3) in the space, in pieces, without gradient."""
        parts = positions.split(_POSITIONS_A_CALL[positions.device.type])
        return torch.cat([self.field.sdf(part) for part in parts])

    def grid_density(self, positions: Tensor) -> Tensor:
        r"""The density that NeuS gives to a ray that meets the surface head on, :math:`s (1 - \Phi_s(f))`, at the point of a cell
        nearest to the surface; falling off to both sides, so that the inside of objects is pruned too.
        """
        sampler = self.occupancy_sampler
        assert sampler is not None
        inv_s = self.variance().detach()
        reach = 0.5 * ((sampler.grid.aabb[1] - sampler.grid.aabb[0]) / sampler.grid.config.resolution).norm()
        return inv_s * torch.sigmoid(-inv_s * (self.sdf(positions).abs() - reach).clamp(min=0.0))

    def implicit_surface(self) -> ImplicitSurface:
        """Where the distance is 0, or the viewer's level."""

        def value(positions: Tensor) -> Tensor:
            return self.sdf(self.space.from_world(positions)) * self.space.scale

        @torch.no_grad()
        def color(positions: Tensor, directions: Tensor) -> Tensor:
            size = _POSITIONS_A_CALL[positions.device.type]
            parts = zip(self.space.from_world(positions).split(size), directions.split(size))
            return torch.cat([self.field.color(p, d, self.field.geometry(p)) for p, d in parts])

        level = float(self.viewer_level.value) * float(self.space.scale)
        return ImplicitSurface(value, level, self.scene_box.aabb.to(self.device), color)

    def get_outputs(self, ray_bundle: RayBundle) -> dict[str, Tensor]:
        """Renders rays.

        Returns:
            ``rgb`` (n, 3), ``accumulation`` (n, 1, of what is inside the box), ``depth`` (n, 1, world distance); in pictures ``normals``
            (n, 3) in [0, 1], in training ``background`` (n, 3), ``num_samples_per_ray`` (n,), ``n_dropped_rays`` (), ``eikonal_error`` ()
            and, where it is asked for, ``curvature`` ().
        """
        rays = self._rays(ray_bundle)
        samples = self._sample(rays)
        background = self._background(rays)
        behind = background if self.outside is None else self.outside(self.space, rays, background, self.training)
        if not self.training:
            rendered, normals = self._render_picture(rays, samples)
            return self._describe(rendered, rays, behind) | {"normals": 0.5 + 0.5 * normals}
        self._observe(samples)
        rendered, regularisers = self._render_training(rays, samples)
        outputs = self._describe(rendered, rays, behind) | regularisers
        return outputs | self._training_outputs(background, samples)

    def _sample(self, rays: Rays) -> PackedSamples:
        inv_s = self.variance().detach()
        if isinstance(self.sampler, SurfaceSampler) and self._level != 0.0:
            # The grid holds what is near distance 0; another level's surface may be anywhere.
            return self.sampler.sample(rays, self._shifted_sdf, inv_s, stratified=False, opacity_threshold=0.0)
        return self.sampler.sample(rays, self._shifted_sdf, inv_s, stratified=self.training)

    def _observe(self, samples: PackedSamples) -> None:
        """Tells the budget of rays what a batch takes of its fixed buffers."""
        if self.ray_budget is not None:
            assert isinstance(self.sampler, SurfaceSampler)
            self.ray_budget.observe(samples.packed_info[:, 1], self.sampler.num_march_steps / SURFACE_MARCH_ROOM)

    def _shifted_sdf(self, positions: Tensor) -> Tensor:
        return self.sdf(positions) - self._level

    @property
    def _level(self) -> float:
        return 0.0 if self.training else float(self.viewer_level.value)

    def _evaluate(self, rays: Rays, samples: PackedSamples, part: slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Positions, densities, colours and gradients at the midpoints of some samples."""
        ray_indices, t_starts, t_ends = samples.ray_indices[part], samples.t_starts[part], samples.t_ends[part]
        positions = rays.positions(ray_indices, 0.5 * (t_starts + t_ends))
        viewdirs = rays.viewdirs.index_select(0, ray_indices)
        geometry = self.field.geometry(positions)
        slopes = anneal_slopes((geometry.gradients * viewdirs).sum(-1), self.progress)
        widths = t_ends - t_starts
        depths = sdf_optical_depths(geometry.sdf - self._level, slopes, widths, self.variance())
        rgbs = self.field.color(positions, viewdirs, geometry)
        return positions, depths / widths.clamp(min=1e-10), rgbs, geometry.gradients

    def _render_training(self, rays: Rays, samples: PackedSamples) -> tuple[Composited, dict[str, Tensor]]:
        positions, sigmas, rgbs, gradients = self._evaluate(rays, samples, slice(None))
        rendered = composite(sigmas, rgbs, samples.t_starts, samples.t_ends, samples.packed_info)
        is_sample = (samples.t_ends > samples.t_starts).float()  # and not padding of a fixed buffer
        errors = (gradients.norm(dim=-1) - 1.0) ** 2
        regularisers = {"eikonal_error": (errors * is_sample).sum() / is_sample.sum().clamp(min=1.0)}
        if self.config.curvature_loss_mult > 0:
            curvatures = self._curvatures(positions)
            regularisers["curvature"] = (curvatures * is_sample).sum() / is_sample.sum().clamp(min=1.0)
        return rendered, regularisers

    def _curvatures(self, positions: Tensor) -> Tensor:
        """Absolute Laplacian of the distance by central differences, (n,). Source: Li et al., Neuralangelo, 2023, equation 8."""
        eps = self.config.curvature_eps
        axes = torch.eye(3, device=positions.device)
        offsets = eps * torch.cat([axes, -axes])
        around = self.field.sdf((positions[:, None] + offsets).view(-1, 3)).view(-1, 6).sum(-1)
        return ((around - 6.0 * self.field.sdf(positions)) / eps**2).abs()

    @torch.no_grad()
    def _render_picture(self, rays: Rays, samples: PackedSamples) -> tuple[Composited, Tensor]:
        """Rendered rays and their composited unit normals (n, 3); memory is bounded by the samples' own arrays."""
        n, size = len(samples.t_starts), _POSITIONS_A_CALL[samples.t_starts.device.type]
        parts = [self._evaluate(rays, samples, slice(i, i + size))[1:] for i in range(0, max(n, 1), size)]
        sigmas, rgbs, gradients = (torch.cat(values) for values in zip(*parts))
        packed = (samples.t_starts, samples.t_ends, samples.packed_info)
        early_stop_eps = float(self.viewer_early_stop.value)
        rendered = composite(sigmas, rgbs, *packed, early_stop_eps=early_stop_eps)
        return rendered, composite(sigmas, F.normalize(gradients, dim=-1), *packed, early_stop_eps=early_stop_eps).rgb

    def get_loss_dict(
        self, outputs: dict[str, Tensor], batch: dict[str, Any], metrics_dict: dict[str, Tensor] | None = None
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
            opacity = outputs["accumulation"].clamp(1e-3, 1.0 - 1e-3)
            losses["mask_loss"] = self.config.mask_loss_mult * F.binary_cross_entropy(opacity, image[..., 3:])
        self.camera_optimizer.get_loss_dict(losses)
        return losses

    @torch.no_grad()
    def get_metrics_dict(self, outputs: dict[str, Tensor], batch: dict[str, Any]) -> dict[str, Tensor]:
        """The shared ones, ``inv_s`` and the eikonal error."""
        metrics = super().get_metrics_dict(outputs, batch) | {"inv_s": self.variance()}
        if "eikonal_error" in outputs:
            metrics["eikonal_error"] = outputs["eikonal_error"]
        return metrics

    def get_image_metrics_and_images(
        self, outputs: dict[str, Tensor], batch: dict[str, Any]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """The shared ones and the normals."""
        metrics, images = super().get_image_metrics_and_images(outputs, batch)
        return metrics, images | {"normals": outputs["normals"]}
