"""Vanilla NeRF: the paper's field, marched through an occupancy grid or sampled hierarchically."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.model_components import renderers
from nerfstudio.models.base_model import Model, ModelConfig
from nerfstudio.utils import colormaps
from nerfstudio.utils.colors import get_color
from nerfstudio.viewer.viewer_elements import ViewerSlider
from torch import Tensor
from torch.nn import Parameter

from nerf_plugins.errors import InputError
from nerf_plugins.fields.nerf_mlp import NeRFMLP, NeRFMLPConfig
from nerf_plugins.models.metrics import image_metrics, psnr
from nerf_plugins.models.render import render_samples, render_samples_in_rounds
from nerf_plugins.ops import Composited, PackedSamples, blend_background
from nerf_plugins.samplers.hierarchical import HierarchicalSampler, HierarchicalSamplerConfig
from nerf_plugins.samplers.occupancy import OccupancySampler, OccupancySamplerConfig
from nerf_plugins.samplers.ray_budget import RayBudget
from nerf_plugins.spaces import Rays, SpaceKind, make_space


@dataclass
class NerfModelConfig(ModelConfig):
    """Vanilla NeRF"""

    _target: type = field(default_factory=lambda: NerfModel)
    """target class to instantiate"""
    sampler: Literal["occupancy", "hierarchical"] = "occupancy"
    """occupancy: march through a grid of what is occupied. hierarchical: the paper's coarse and fine networks."""
    occupancy: OccupancySamplerConfig = field(default_factory=OccupancySamplerConfig)
    """The occupancy sampler."""
    hierarchical: HierarchicalSamplerConfig = field(default_factory=HierarchicalSamplerConfig)
    """The hierarchical sampler."""
    field: NeRFMLPConfig = field(default_factory=NeRFMLPConfig)
    """The network(s)."""
    space: Literal["auto", "box", "contracted", "ndc"] = "auto"
    """Where rays are marched. box: the scene box. contracted: the world around it too. ndc: device coordinates, for forward-facing
    scenes. auto: ndc if the dataparser asks for it, contracted if most cameras stand in the scene box, else box."""
    near_plane: float = 0.05
    """Where rays start, in world units (not in ndc)."""
    far_plane: float = 1e3
    """Where rays end, in world units (not in ndc)."""
    background_color: Literal["auto", "random", "white", "black"] = "auto"
    """What is behind the scene. auto and random: another colour for each training ray; pictures have the dataparser's alpha colour,
    or black."""
    early_stop_eps: float = 1e-4
    """Samples behind which less than this much light passes are left out of pictures; 0 for none."""
    enable_collider: bool = False
    """Not used: near and far come from the planes above, the scene box and the viewer's crop."""
    collider_params: dict[str, float] | None = None
    """Not used."""
    eval_num_rays_per_chunk: int = 16384
    """Rays of a picture that are marched at once. The network sees bounded pieces of them, whatever this is."""

    def __post_init__(self) -> None:
        if not 0 <= self.near_plane < self.far_plane:
            raise InputError(f"near_plane must be >= 0 and below far_plane, got {self.near_plane} and {self.far_plane}")
        if not 0 <= self.early_stop_eps < 1:
            raise InputError(f"early_stop_eps must be in [0, 1), got {self.early_stop_eps}")


class NerfModel(Model):
    """Vanilla NeRF. Needs nothing of nerfstudio's but the base class, so it can be built from a bare config on any device."""

    config: NerfModelConfig
    picture_background: Tensor

    def populate_modules(self) -> None:
        """Builds space, sampler, field(s) and the viewer's controls."""
        super().populate_modules()
        metadata = self.kwargs.get("metadata") or {}
        self.space = make_space(self._space_kind(metadata), self.scene_box.aabb, metadata.get("ndc"))
        self.field = NeRFMLP(self.config.field)
        if self.config.sampler == "hierarchical":
            self.field_coarse = NeRFMLP(self.config.field)
            self.sampler: HierarchicalSampler | OccupancySampler = HierarchicalSampler(
                self.config.hierarchical, self.space
            )
        else:
            self.sampler = OccupancySampler(self.config.occupancy, self.space)
        budget = self.config.occupancy.samples_per_batch
        self.ray_budget = None if budget is None else RayBudget(budget, self.config.occupancy.max_rays_per_batch)
        self.register_buffer("picture_background", self._picture_background(metadata).clone(), persistent=False)
        # nerfstudio's tools expect a model to have one.
        self.renderer_rgb = renderers.RGBRenderer(background_color=self.picture_background)
        self._add_viewer_controls()

    def _space_kind(self, metadata: dict[str, Any]) -> SpaceKind:
        if self.config.space != "auto":
            return self.config.space
        if "ndc" in metadata:
            return "ndc"
        return "contracted" if metadata.get("cameras_inside_box") else "box"

    def _picture_background(self, metadata: dict[str, Any]) -> Tensor:
        if self.config.background_color in ("white", "black"):
            return get_color(self.config.background_color)
        alpha_color = metadata.get("alpha_color")
        return get_color("black") if alpha_color is None else torch.tensor(alpha_color)

    def _add_viewer_controls(self) -> None:
        self.viewer_early_stop = ViewerSlider(
            "Early stop",
            self.config.early_stop_eps,
            0.0,
            max(0.1, self.config.early_stop_eps),
            0.0001,
            hint="Light below which a ray is cut off",
        )
        if isinstance(self.sampler, OccupancySampler):
            config = self.config.occupancy
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

    def get_param_groups(self) -> dict[str, list[Parameter]]:
        """One group, "fields"."""
        fields = [self.field, self.field_coarse] if self.config.sampler == "hierarchical" else [self.field]
        return {"fields": [parameter for f in fields for parameter in f.parameters()]}

    def get_training_callbacks(self, attributes: TrainingCallbackAttributes) -> list[TrainingCallback]:
        """Before each step: updates the occupancy grid, and lets the number of rays follow the budget of samples."""
        sampler = self.sampler
        if not isinstance(sampler, OccupancySampler):
            return []
        datamanager = attributes.pipeline.datamanager if attributes.pipeline is not None else None
        pixel_sampler = getattr(datamanager, "train_pixel_sampler", None)

        def before_step(step: int) -> None:
            sampler.update(step, self._density)
            if self.ray_budget is not None and pixel_sampler is not None:
                pixel_sampler.set_num_rays_per_batch(self.ray_budget.rays(pixel_sampler.num_rays_per_batch))

        return [
            TrainingCallback([TrainingCallbackLocation.BEFORE_TRAIN_ITERATION], before_step, update_every_num_iters=1)
        ]

    def update_to_step(self, step: int) -> None:
        """Called when a checkpoint of this step is loaded."""
        if isinstance(self.sampler, OccupancySampler):
            self.sampler.set_step(step)

    def _density(self, positions: Tensor) -> Tensor:
        """Densities at positions in the space, for the grid."""
        return torch.cat([self.field.density(self.space.field_positions(p)) for p in positions.split(1 << 14)])

    def get_outputs(self, ray_bundle: RayBundle) -> dict[str, Tensor]:
        """Renders rays.

        Returns:
            ``rgb`` (n, 3), ``accumulation`` (n, 1), ``depth`` (n, 1, world distance); the coarse pass's with ``_coarse``. In training also
            ``background`` (n, 3), what ``rgb`` was blended over, and ``num_samples_per_ray`` (n,).
        """
        rays = self.space.rays(ray_bundle, self.config.near_plane, self.config.far_plane)
        background = self._background(rays)
        if self.config.sampler == "hierarchical":
            coarse, fine, samples = self._render_hierarchical(rays)
            outputs = self._describe(fine, rays, background)
            outputs |= {f"{key}_coarse": value for key, value in self._describe(coarse, rays, background).items()}
        else:
            rendered, samples = self._render_occupancy(rays)
            outputs = self._describe(rendered, rays, background)
        if self.training:
            outputs |= {
                "background": background,
                "num_samples_per_ray": samples.packed_info[:, 1],
                "n_dropped_rays": samples.n_dropped_rays,
            }
        return outputs

    def _render_occupancy(self, rays: Rays) -> tuple[Composited, PackedSamples]:
        assert isinstance(self.sampler, OccupancySampler)
        if self.training:
            samples = self.sampler.march(rays)
            if self.ray_budget is not None:
                self.ray_budget.observe(samples.packed_info[:, 1])
            return render_samples(self.field, self.space, rays, samples, early_stop_eps=0.0), samples
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

    def _render_pass(self, radiance: NeRFMLP, rays: Rays, samples: PackedSamples) -> Composited:
        if self.training:
            return render_samples(radiance, self.space, rays, samples, early_stop_eps=0.0)
        return self._render_picture(radiance, rays, samples)

    def _render_picture(self, radiance: NeRFMLP, rays: Rays, samples: PackedSamples) -> Composited:
        return render_samples_in_rounds(radiance, self.space, rays, samples, float(self.viewer_early_stop.value))

    def _background(self, rays: Rays) -> Tensor:
        """(n, 3): random per ray in training, unless configured; the viewer's choice or the dataset's in pictures."""
        if self.training and self.config.background_color in ("auto", "random"):
            return torch.rand_like(rays.origins)
        color = self.picture_background if self.training else self._background_of_pictures()
        return color.to(rays.origins).expand_as(rays.origins)

    def _describe(self, rendered: Composited, rays: Rays, background: Tensor) -> dict[str, Tensor]:
        return {
            "rgb": blend_background(rendered.rgb, rendered.accumulation, background),
            "accumulation": rendered.accumulation[:, None],
            "depth": self.space.distances(rays, rendered.depth)[:, None],
        }

    def _target(self, image: Tensor, background: Tensor) -> Tensor:
        """The image as seen over a background: RGBA is blended, RGB stays."""
        image = image.to(self.device)
        if image.shape[-1] == 3:
            return image
        return image[..., :3] * image[..., 3:] + background * (1.0 - image[..., 3:])

    def get_loss_dict(
        self, outputs: dict[str, Tensor], batch: dict[str, Tensor], metrics_dict: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Mean squared errors of the colour(s); image and render are blended over the same background."""
        background = outputs.get("background", self.picture_background)
        target = self._target(batch["image"], background)
        losses = {"rgb_loss": torch.mean((outputs["rgb"] - target) ** 2)}
        if "rgb_coarse" in outputs:
            losses["rgb_loss_coarse"] = torch.mean((outputs["rgb_coarse"] - target) ** 2)
        return losses

    @torch.no_grad()
    def get_metrics_dict(self, outputs: dict[str, Tensor], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """PSNR of the batch; in training samples per ray, rays dropped, share of the grid that is occupied."""
        background = outputs.get("background", self.picture_background)
        metrics = {"psnr": psnr(outputs["rgb"], self._target(batch["image"], background))}
        if "num_samples_per_ray" in outputs:
            metrics["samples_per_ray"] = outputs["num_samples_per_ray"].float().mean()
            metrics["dropped_rays"] = outputs["n_dropped_rays"].float()
        if isinstance(self.sampler, OccupancySampler):
            metrics["occupied_fraction"] = self.sampler.grid.fraction_occupied
        return metrics

    def get_image_metrics_and_images(
        self, outputs: dict[str, Tensor], batch: dict[str, Tensor]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """PSNR, SSIM, LPIPS (where it can be had); image beside render, accumulation, depth."""
        rgb = outputs["rgb"]
        image = self._target(batch["image"], self._background_of_pictures()).to(rgb.device)
        metrics = image_metrics(image, rgb)
        if "rgb_coarse" in outputs:
            metrics["psnr_coarse"] = float(psnr(image, outputs["rgb_coarse"]))
        images = {
            "img": torch.cat([image, rgb], dim=1),
            "accumulation": colormaps.apply_colormap(outputs["accumulation"]),
            "depth": colormaps.apply_depth_colormap(outputs["depth"], accumulation=outputs["accumulation"]),
        }
        return metrics, images

    def _background_of_pictures(self) -> Tensor:
        override = renderers.BACKGROUND_COLOR_OVERRIDE
        return (self.picture_background if override is None else override).to(self.device)

    def get_rgba_image(self, outputs: dict[str, Tensor], output_name: str = "rgb") -> Tensor:
        """(h, w, 4): colour without the background (not premultiplied) and the true alpha."""
        accumulation = outputs[output_name.replace("rgb", "accumulation")]
        background = self._background_of_pictures().to(accumulation.device)
        rgb = (outputs[output_name] - (1.0 - accumulation) * background) / accumulation.clamp(min=1e-6)
        return torch.cat([rgb.clamp(0.0, 1.0) * (accumulation > 1e-6), accumulation], dim=-1)
