"""NeRF: a radiance field, sampled by marching an occupancy grid or in another way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from nerfstudio.cameras.rays import RayBundle
from torch import Tensor

from nerf_plugins.calls import call_size, in_calls
from nerf_plugins.errors import InputError
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.fields.base import Dataset, RadianceField, RadianceFieldConfig
from nerf_plugins.fields.graphed import GraphedField
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.models.metrics import psnr
from nerf_plugins.models.volumetric import VolumetricModel, VolumetricModelConfig
from nerf_plugins.rendering import render_samples, render_samples_in_rounds
from nerf_plugins.samplers.base import SamplerConfig
from nerf_plugins.samplers.hierarchical import HierarchicalSamplerConfig
from nerf_plugins.samplers.occupancy import OccupancySamplerConfig
from nerf_plugins.samplers.proposal import ProposalSamplerConfig
from nerf_plugins.samplers.two_pass import TwoPassSamplerConfig
from nerf_plugins.spaces import SPACES, Space, suitable_space


@dataclass
class NerfModelConfig(VolumetricModelConfig):
    """NeRF"""

    _target: type = field(default_factory=lambda: NerfModel, kw_only=True)
    """target class to instantiate"""
    space: Literal["auto", "box", "contracted", "ndc"] = "auto"
    """Where rays are marched. box: the scene box. contracted: the world around it too. ndc: device coordinates, for forward-facing scenes.
    auto: ndc if the dataparser asks for it, contracted if most cameras stand in the scene box, else box."""
    sampler: Literal["auto", "occupancy", "hierarchical", "two_pass", "proposal"] = "occupancy"
    """occupancy: march through a grid of what is occupied. proposal: a few samples where a small network of its own proposes.
    hierarchical: NeRF's coarse and fine networks. two_pass: mip-NeRF's coarse and fine pass of one network.
    auto: proposal where the space has no bounds, else occupancy."""
    occupancy: OccupancySamplerConfig = field(default_factory=OccupancySamplerConfig)
    """The occupancy sampler."""
    hierarchical: HierarchicalSamplerConfig = field(default_factory=HierarchicalSamplerConfig)
    """The hierarchical sampler."""
    two_pass: TwoPassSamplerConfig = field(default_factory=TwoPassSamplerConfig)
    """The sampler with two passes."""
    proposal: ProposalSamplerConfig = field(default_factory=ProposalSamplerConfig)
    """The proposal sampler."""
    field: RadianceFieldConfig = field(default_factory=NeRFMLPConfig)
    """The network(s)."""
    calm_distance: float = 0.0
    """Gradients of what is nearer to a camera than this, in units of the scene, fall with the square of its distance.
    It keeps clouds from before the cameras. 0: nowhere. Earlier passes of a sampler are left as they are."""
    cuda_graph: bool = False
    """On CUDA, with a sampler whose batches have one size: replay the network's training passes as CUDA graphs.
    Saves launches, costs memory."""
    surface_density: float = 10.0
    """Density at which a mesh of the scene has its surface, in 1 / unit of the scene."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.calm_distance >= 0:
            raise InputError(f"model: calm_distance must be >= 0, got {self.calm_distance}")
        names = ("occupancy", "proposal") if self.sampler == "auto" else (self.sampler,)
        if self.cuda_graph and not all(getattr(self, name).has_fixed_size for name in names):
            raise InputError(
                "model: cuda_graph needs batches of one size: set sampler to occupancy and occupancy.marcher to warp, or to proposal"
            )


class NerfModel(VolumetricModel):
    """NeRF."""

    config: NerfModelConfig
    field: RadianceField

    def populate_modules(self) -> None:
        """Builds space, field, sampler, background and the viewer's controls."""
        super().populate_modules()
        self.graphed_field = GraphedField(self.field) if self.config.cuda_graph else None

    def make_space(self, metadata: dict[str, Any]) -> Space:
        """The configured space, or the one that suits the dataset."""
        name = suitable_space(metadata) if self.config.space == "auto" else self.config.space
        return SPACES[name].of_dataset(self.scene_box.aabb, metadata)

    def known_of_photos(self) -> Dataset:
        """With the dataset's ``background_points`` (of the scene), those in the space, as the field sees them; none in ndc."""
        known, points = super().known_of_photos(), self.metadata.get("background_points")
        if points is None or not self.space.has_world_units:
            return known
        positions = self.space.field_positions(torch.as_tensor(points, dtype=torch.float32))
        return known._replace(background=positions[(positions.abs() <= 1.0).all(dim=-1)])

    @property
    def sampler_config(self) -> SamplerConfig:
        """The options of the configured sampler, or of the one that suits the space."""
        if self.config.sampler == "auto":
            return self.config.proposal if self.space.unbounded else self.config.occupancy
        return super().sampler_config

    @property
    def scene(self) -> RadianceField:
        """The field."""
        return self.field

    def implicit_surface(self, time: float = 0.0) -> ImplicitSurface:
        """Where the density crosses ``surface_density``."""

        @torch.no_grad()
        def value(positions: Tensor) -> Tensor:
            return -in_calls(
                lambda p: self.field.density(self._points_at(p, time)), positions, size=call_size(positions.device)
            )

        @torch.no_grad()
        def color(positions: Tensor, directions: Tensor) -> Tensor:
            size = call_size(positions.device)
            return in_calls(lambda p, d: self.field(self._points_at(p, time, d))[1], positions, directions, size=size)

        return ImplicitSurface(value, -self.config.surface_density, self.space.aabb, color)

    def get_outputs(self, ray_bundle: RayBundle) -> dict[str, Any]:
        """Renders rays.

        Returns:
            ``rgb`` (n, 3), ``accumulation`` (n, 1), ``depth`` (n, 1, world distance); those of the sampler's earlier passes with the pass's
            name (``rgb_coarse``). In training also ``background`` (n, 3), what ``rgb`` was blended over, ``samples`` with
            their ``weights``, ``n_samples`` (n,), ``n_dropped_rays`` (), ``n_looked_at`` (n,) and ``losses``, a dictionary.
        """
        rays = self._rays(ray_bundle)
        background = self._background(rays)
        sampling = self.sampler.sample(rays, self.field, stratified=self.training)
        points = None
        if self.training:
            radiance, calm = self.graphed_field or self.field, self.config.calm_distance
            rendered, points = render_samples(radiance, self.space, rays, sampling.samples, calm_distance=calm)
        else:
            early_stop_eps = float(self.viewer_early_stop.value)
            rendered = render_samples_in_rounds(self.field, self.space, rays, sampling.samples, early_stop_eps)
        outputs: dict[str, Any] = self._describe(rendered, rays, background)
        for name, earlier in sampling.passes.items():
            described = self._describe(earlier, rays, background)
            outputs |= {f"{key}_{name}": value for key, value in described.items()}
        if points is None:
            return outputs
        return outputs | self._training_outputs(background, sampling, rendered, points)

    def colors_of(self, ray_bundle: RayBundle) -> Tensor:
        """See :class:`VolumetricModel`."""
        rays = self._rays(ray_bundle)
        samples = self.sampler.sample(rays, self.field, stratified=False).samples
        rendered = render_samples(self.field, self.space, rays, samples).composited
        return self._describe(rendered, rays, self._background(rays))["rgb"]

    def get_loss_dict(
        self, outputs: dict[str, Any], batch: dict[str, Any], metrics_dict: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Mean squared errors of the colour, also of earlier passes, and the losses of sampler and field.

        Image and render are blended over the same background.
        """
        background = outputs.get("background", self.picture_background)
        target = self._target(batch["image"], background)
        losses = {"rgb_loss": F.mse_loss(outputs["rgb"], target)}
        for key in outputs:
            if key.startswith("rgb_"):
                of_pass = F.mse_loss(outputs[key], target)
                losses[key.replace("rgb", "rgb_loss")] = self.sampler.pass_factor * of_pass
        losses |= outputs.get("losses", {}) | self._depth_losses(outputs, batch)
        self.camera_optimizer.get_loss_dict(losses)
        return losses

    def get_image_metrics_and_images(
        self, outputs: dict[str, Tensor], batch: dict[str, Any]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """The shared ones, and the PSNR of earlier passes."""
        metrics, images = super().get_image_metrics_and_images(outputs, batch)
        image = self._target(batch["image"], self._background_of_pictures()).to(outputs["rgb"].device)
        for key in outputs:
            if key.startswith("rgb_"):
                metrics[key.replace("rgb", "psnr")] = float(psnr(image, outputs[key]))
        return metrics, images
