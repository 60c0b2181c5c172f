"""NeRF: a radiance field, marched through an occupancy grid or sampled hierarchically."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.viewer.viewer_elements import ViewerSlider
from torch import Tensor
from torch.nn import Parameter

from nerf_plugins.errors import InputError
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.fields.graphed import GraphedField
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.fields.radiance import RadianceField, RadianceFieldConfig
from nerf_plugins.models.metrics import psnr
from nerf_plugins.models.render import render_samples, render_samples_in_rounds
from nerf_plugins.models.volumetric import VolumetricModel, VolumetricModelConfig
from nerf_plugins.ops import Composited, PackedSamples
from nerf_plugins.samplers.hierarchical import HierarchicalSampler, HierarchicalSamplerConfig
from nerf_plugins.samplers.occupancy import OccupancySampler, OccupancySamplerConfig
from nerf_plugins.spaces import BoxSpace, Rays, SpaceKind, make_space

# Positions a network call when the grid or a mesh asks for densities.
_POSITIONS_A_CALL = {"cpu": 1 << 14, "cuda": 1 << 18}


@dataclass
class NerfModelConfig(VolumetricModelConfig):
    """NeRF"""

    _target: type = field(default_factory=lambda: NerfModel, kw_only=True)
    """target class to instantiate"""
    space: Literal["auto", "box", "contracted", "ndc"] = "auto"
    """Where rays are marched. box: the scene box. contracted: the world around it too. ndc: device coordinates, for forward-facing scenes.
    auto: ndc if the dataparser asks for it, contracted if most cameras stand in the scene box, else box."""
    sampler: Literal["occupancy", "hierarchical"] = "occupancy"
    """occupancy: march through a grid of what is occupied. hierarchical: the paper's coarse and fine networks."""
    occupancy: OccupancySamplerConfig = field(default_factory=OccupancySamplerConfig)
    """The occupancy sampler."""
    hierarchical: HierarchicalSamplerConfig = field(default_factory=HierarchicalSamplerConfig)
    """The hierarchical sampler."""
    field: RadianceFieldConfig = field(default_factory=NeRFMLPConfig)
    """The network(s)."""
    cuda_graph: bool = False
    """On CUDA, with the occupancy sampler: replay the network's training passes as CUDA graphs. Saves launches, costs memory."""
    surface_density: float = 10.0
    """Density at which a mesh of the scene has its surface, in 1 / unit of the scene."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cuda_graph and (self.sampler != "occupancy" or self.occupancy.marcher != "warp"):
            raise InputError(
                "model: cuda_graph needs batches of one size: set sampler to occupancy and occupancy.marcher to warp"
            )


class NerfModel(VolumetricModel):
    """NeRF."""

    config: NerfModelConfig
    field: RadianceField

    def populate_modules(self) -> None:
        """Builds space, sampler, field(s) and the viewer's controls."""
        super().populate_modules()
        self.field = self.config.field.setup()
        if self.config.sampler == "hierarchical":
            self.field_coarse: RadianceField = self.config.field.setup()
            self.sampler: HierarchicalSampler | OccupancySampler = HierarchicalSampler(
                self.config.hierarchical, self.space
            )
            return
        self.sampler = OccupancySampler(self.config.occupancy, self.space)
        self.graphed_field = GraphedField(self.field) if self.config.cuda_graph else None
        self.ray_budget = self._make_ray_budget(self.config.occupancy)
        self._add_viewer_controls(self.config.occupancy)

    def make_space(self, metadata: dict[str, Any]) -> BoxSpace:
        """The configured space, or the one that suits the dataset."""
        return make_space(self._space_kind(metadata), self.scene_box.aabb, metadata.get("ndc"))

    def _space_kind(self, metadata: dict[str, Any]) -> SpaceKind:
        if self.config.space != "auto":
            return self.config.space
        if "ndc" in metadata:
            return "ndc"
        return "contracted" if metadata.get("cameras_inside_box") else "box"

    def _add_viewer_controls(self, config: OccupancySamplerConfig) -> None:
        self.viewer_steps = ViewerSlider(
            "Samples per ray",
            config.steps_per_diagonal,
            min(16, config.steps_per_diagonal),
            max(2048, config.steps_per_diagonal),
            1,
            hint="Steps across the scene box's diagonal",
        )
        self.viewer_threshold = ViewerSlider(
            "Occupancy threshold",
            config.grid.opacity_threshold,
            0.0,
            max(0.5, config.grid.opacity_threshold),
            0.001,
            hint="Opacity of a step from which a cell counts as occupied",
        )

    @property
    def occupancy_sampler(self) -> OccupancySampler | None:
        """The sampler, unless it is the hierarchical one."""
        return self.sampler if isinstance(self.sampler, OccupancySampler) else None

    def get_param_groups(self) -> dict[str, list[Parameter]]:
        """ "fields", and that of the poses."""
        fields = [self.field, self.field_coarse] if self.config.sampler == "hierarchical" else [self.field]
        return {"fields": [parameter for f in fields for parameter in f.parameters()]} | super().get_param_groups()

    def grid_density(self, positions: Tensor) -> Tensor:
        """Densities at positions in the space."""
        parts = positions.split(_POSITIONS_A_CALL[positions.device.type])
        return torch.cat([self.field.density(self.space.field_positions(part)) for part in parts])

    def implicit_surface(self) -> ImplicitSurface:
        """Where the density crosses ``surface_density``."""

        @torch.no_grad()
        def value(positions: Tensor) -> Tensor:
            return -self.grid_density(positions)

        @torch.no_grad()
        def color(positions: Tensor, directions: Tensor) -> Tensor:
            size = _POSITIONS_A_CALL[positions.device.type]
            parts = zip(positions.split(size), directions.split(size))
            return torch.cat([self.field(self.space.field_positions(p), d)[1] for p, d in parts])

        return ImplicitSurface(value, -self.config.surface_density, self.space.aabb, color)

    def get_outputs(self, ray_bundle: RayBundle) -> dict[str, Tensor]:
        """Renders rays.

        Returns:
            ``rgb`` (n, 3), ``accumulation`` (n, 1), ``depth`` (n, 1, world distance); the coarse pass's with ``_coarse``. In training also
            ``background`` (n, 3), what ``rgb`` was blended over, ``num_samples_per_ray`` (n,) and ``n_dropped_rays`` ().
        """
        rays = self._rays(ray_bundle)
        background = self._background(rays)
        if self.config.sampler == "hierarchical":
            coarse, fine, samples = self._render_hierarchical(rays)
            outputs = self._describe(fine, rays, background)
            outputs |= {f"{key}_coarse": value for key, value in self._describe(coarse, rays, background).items()}
        else:
            rendered, samples = self._render_occupancy(rays)
            outputs = self._describe(rendered, rays, background)
        return outputs | self._training_outputs(background, samples) if self.training else outputs

    def _render_occupancy(self, rays: Rays) -> tuple[Composited, PackedSamples]:
        assert isinstance(self.sampler, OccupancySampler)
        if self.training:
            samples, n_marched = self.sampler.march_visible(rays, self.grid_density)
            if self.ray_budget is not None:
                self.ray_budget.observe(samples.packed_info[:, 1], n_marched)
            radiance = self.graphed_field or self.field
            return render_samples(radiance, self.space, rays, samples, early_stop_eps=0.0), samples
        samples = self.sampler.march_for_render(
            rays,
            steps_per_diagonal=int(self.viewer_steps.value),
            opacity_threshold=self._moved_threshold(),
        )
        return self._render_picture(self.field, rays, samples), samples

    def _moved_threshold(self) -> float | None:
        """The viewer's occupancy threshold, if somebody moved it."""
        threshold = float(self.viewer_threshold.value)
        return None if threshold == self.config.occupancy.grid.opacity_threshold else threshold

    def _render_hierarchical(self, rays: Rays) -> tuple[Composited, Composited, PackedSamples]:
        assert isinstance(self.sampler, HierarchicalSampler)
        samples = self.sampler.coarse(rays, stratified=self.training)
        coarse = self._render_pass(self.field_coarse, rays, samples)
        samples = self.sampler.fine(samples, coarse.weights, stratified=self.training)
        return coarse, self._render_pass(self.field, rays, samples), samples

    def _render_pass(self, radiance: RadianceField, rays: Rays, samples: PackedSamples) -> Composited:
        if self.training:
            return render_samples(radiance, self.space, rays, samples, early_stop_eps=0.0)
        return self._render_picture(radiance, rays, samples)

    def _render_picture(self, radiance: RadianceField, rays: Rays, samples: PackedSamples) -> Composited:
        return render_samples_in_rounds(radiance, self.space, rays, samples, float(self.viewer_early_stop.value))

    def get_loss_dict(
        self, outputs: dict[str, Tensor], batch: dict[str, Any], metrics_dict: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Mean squared errors of the colour(s); image and render are blended over the same background."""
        background = outputs.get("background", self.picture_background)
        target = self._target(batch["image"], background)
        losses = {"rgb_loss": torch.mean((outputs["rgb"] - target) ** 2)}
        if "rgb_coarse" in outputs:
            losses["rgb_loss_coarse"] = torch.mean((outputs["rgb_coarse"] - target) ** 2)
        self.camera_optimizer.get_loss_dict(losses)
        return losses

    def get_image_metrics_and_images(
        self, outputs: dict[str, Tensor], batch: dict[str, Any]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """The shared ones, and the coarse pass's PSNR where there is one."""
        metrics, images = super().get_image_metrics_and_images(outputs, batch)
        if "rgb_coarse" in outputs:
            image = self._target(batch["image"], self._background_of_pictures()).to(outputs["rgb"].device)
            metrics["psnr_coarse"] = float(psnr(image, outputs["rgb_coarse"]))
        return metrics, images
