"""What all models here share: the space rays are marched in, background, grid updates, metrics, pictures, viewer controls."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

import torch
from nerfstudio.cameras.camera_optimizers import CameraOptimizerConfig
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.data.scene_box import OrientedBox
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.model_components import renderers
from nerfstudio.models.base_model import Model, ModelConfig
from nerfstudio.utils import colormaps
from nerfstudio.utils.colors import get_color
from nerfstudio.utils.rich_utils import CONSOLE
from nerfstudio.viewer.viewer_elements import ViewerSlider
from torch import Tensor
from torch.nn import Parameter

from nerf_plugins.data.rays import view_rays
from nerf_plugins.errors import InputError
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.export.mesh import color_vertices, model_mesh
from nerf_plugins.fields.base import Dataset, Field, Parts, join_groups
from nerf_plugins.fields.codes import PHOTO_WEIGHTS, codes_in
from nerf_plugins.fields.deformed import DeformedField
from nerf_plugins.fields.growing import grow
from nerf_plugins.models.camera_poses import CameraPosesConfig
from nerf_plugins.models.half_image import photo_psnrs
from nerf_plugins.models.known_depths import known_depth_loss
from nerf_plugins.models.looks import Looks
from nerf_plugins.models.mesh_view import MeshView
from nerf_plugins.models.metrics import image_metrics, psnr
from nerf_plugins.ops import Composited, PackedSamples, blend_background
from nerf_plugins.ops.loading import import_kernels
from nerf_plugins.rays import Needs, Points, Rays
from nerf_plugins.samplers.base import Sampler, SamplerConfig, Sampling
from nerf_plugins.spaces import Space
from nerf_plugins.threads import LoadFollower, follows_load

if TYPE_CHECKING:
    from trimesh import Trimesh


@dataclass
class VolumetricModelConfig(ModelConfig):
    """What the models share"""

    near_plane: float = 0.05
    """Where rays start: distance from the camera in training's units, which the dataparser scales to. Not used in ndc."""
    far_plane: float = 1e3
    """Where rays end, in the same units. Not used in ndc."""
    background_color: Literal["auto", "random", "white", "black"] = "auto"
    """What is behind the scene.
    auto and random: another colour for each training ray; pictures have the dataparser's alpha colour, or black."""
    early_stop_eps: float = 1e-4
    """Samples behind which less than this much light passes are left out of pictures; 0 for none."""
    depth_loss_mult: float = 0.02
    """Weight, at first, of the loss of rays whose depth is known; there are some if the pixel sampler has a depth_share."""
    depth_loss_until: float = 0.5
    """Share of the training over which that weight falls to 0; then photos alone decide, which know it better than to 3 %."""
    camera_optimizer: CameraOptimizerConfig = field(default_factory=CameraPosesConfig)
    """Learn an adjustment of each training camera's pose too."""
    enable_collider: bool = False
    """Not used: near and far come from the planes above, the scene box and the viewer's crop."""
    collider_params: dict[str, float] | None = None
    """Not used."""
    eval_num_rays_per_chunk: int = 16384
    """Rays of a picture that are marched at once. The network sees bounded pieces of them, whatever this is."""

    if TYPE_CHECKING:  # each model says which samplers and fields it takes
        sampler: str = ""
        field: Any = None

    def __post_init__(self) -> None:
        if not 0 <= self.near_plane < self.far_plane:
            raise InputError(f"near_plane must be >= 0 and below far_plane, got {self.near_plane} and {self.far_plane}")
        if not 0 <= self.early_stop_eps < 1:
            raise InputError(f"early_stop_eps must be in [0, 1), got {self.early_stop_eps}")
        if not self.depth_loss_mult >= 0:
            raise InputError(f"depth_loss_mult must be >= 0, got {self.depth_loss_mult}")
        if not 0 < self.depth_loss_until <= 1:
            raise InputError(f"depth_loss_until must be in (0, 1], got {self.depth_loss_until}")
        if self.enable_collider:
            raise InputError("enable_collider is not used here: set the model's near_plane and far_plane")

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Called when a config.yml is read: options that it lacks, being of an earlier version, have their defaults."""
        for option in fields(self):
            if option.default_factory is not MISSING:
                self.__dict__[option.name] = option.default_factory()
        self.__dict__.update(state)


class VolumetricModel(Model):
    """A model that renders rays by compositing samples. Needs nothing of nerfstudio's but the base class, so it can be built from a
    bare config on any device.
    """

    config: VolumetricModelConfig
    picture_background: Tensor
    field: Field
    sampler: Sampler
    progress: float = 1.0
    """How far the schedules of the fields are, in [0, 1]; see :meth:`progress_at`. Checkpoints hold it."""
    _known_target: tuple[Tensor, Tensor, Tensor] | None = None
    last_step: int | None = None
    """Steps of the whole training, where one is going on."""
    has_grown: bool = False
    """Whether parameters were replaced before this training step."""
    taken_up: tuple[int, float] = (0, 0.0)
    """Step and progress of the checkpoint that training goes on from."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # nerfstudio's marker of the device has no gradient, and on several GPUs one parameter without is read back from the device in each
        # backward pass.
        self.device_indicator_param.requires_grad_(False)

    def populate_modules(self) -> None:
        """Builds space, field, sampler and what is behind the scene; a subclass adds what is its own."""
        super().populate_modules()
        import_kernels()  # not in a picture, which the viewer may break off
        metadata = self.metadata
        self.space = self.make_space(metadata)
        self.field = self.make_field()
        self.sampler = self.sampler_config.setup(space=self.space, make_field=self.make_field)
        self.camera_optimizer = self.config.camera_optimizer.setup(num_cameras=self.num_train_data, device="cpu")
        self.register_buffer("picture_background", self._picture_background(metadata).clone(), persistent=False)
        # nerfstudio's tools expect a model to have one.
        self.renderer_rgb = renderers.RGBRenderer(background_color=self.picture_background)
        self.viewer_early_stop = ViewerSlider(
            "Early stop",
            self.config.early_stop_eps,
            0.0,
            max(0.1, self.config.early_stop_eps),
            0.0001,
            hint="Light below which a ray is cut off",
        )
        self.mesh_view = MeshView(self.colored_mesh)
        codes = codes_in(self)
        self.looks = Looks(self._photo_names(), codes) if codes and self.num_train_data else None
        self.load_follower = LoadFollower() if follows_load() else None

    def forward(self, ray_bundle: RayBundle) -> dict[str, Any]:
        """nerfstudio's; on the CPU with as many threads as others leave CPUs. Never under autocast: fields say which of their layers are
        bf16, and distances stay float32."""
        self._follow_load()
        with torch.autocast(self.device.type, enabled=False):
            return super().forward(ray_bundle)

    def _follow_load(self) -> None:
        """On the CPU, takes as many threads as others leave; before each call of the field."""
        if self.load_follower is not None and self.device.type == "cpu":
            self.load_follower.follow()

    @property
    def metadata(self) -> dict[str, Any]:
        """Of the training dataset."""
        return self.kwargs.get("metadata") or {}

    @property
    def sampler_config(self) -> SamplerConfig:
        """The options of the sampler that ``config.sampler`` names."""
        return getattr(self.config, self.config.sampler)

    def make_field(self) -> Field:
        """A field as the configuration describes it, with fresh parameters."""
        return self.config.field.setup(dataset=self.known_of_photos())

    def known_of_photos(self) -> Dataset:
        """What a field is told of the training photos."""
        times = self.metadata.get("times")
        times = None if times is None else torch.as_tensor(times, dtype=torch.float32)
        return Dataset(self.num_train_data, times, self.metadata)

    @abstractmethod
    def make_space(self, metadata: dict[str, Any]) -> Space:
        """The space that rays are marched in.

        Args:
            metadata: of the training dataset.
        """

    @property
    @abstractmethod
    def scene(self) -> Any:
        """What the sampler samples, as it is now."""

    @abstractmethod
    def implicit_surface(self, time: float = 0.0) -> ImplicitSurface:
        """The surface that the model has learnt; of a moving scene, that of a time in [0, 1]."""

    def warp_at(self, time: float) -> Callable[[Tensor], Tensor]:
        """What takes positions of the space (n, 3), at a time in [0, 1], to their places in the canonical scene, in the field's units;
        differentiable.

        Raises:
            InputError: the field is seen through no warp.
        """
        field = self.field
        if not isinstance(field, DeformedField):
            raise InputError(
                f"a {type(field).__name__} does not say where things go: motion is known of fields that are seen through a warp "
                "(dnerf-hash-custom)"
            )
        return lambda positions: field.in_canonical(self._points_at(positions, time)).positions

    def colored_mesh(self, resolution: int) -> Trimesh:
        """The surface as it is now, in the scene's space; arguments and errors are those of `model_mesh`."""
        mesh = model_mesh(self, resolution)
        with self.shown():
            color_vertices(mesh, self.implicit_surface())
        return mesh

    def shown(self, weights: Tensor | None = None) -> AbstractContextManager[None]:
        """While it is entered, pictures and meshes have the look of photos with these weights; None: the viewer's choice.

        Args:
            weights: of the training photos, (n_images,), 1 in all; only of a model with codes of photos.
        """
        return nullcontext() if self.looks is None else self.looks.shown(weights)

    def _photo_names(self) -> list[str]:
        """Of the training photos; numbers where nobody has named them."""
        return self.metadata.get("image_names") or [f"photo {i}" for i in range(self.num_train_data)]

    def _picture_background(self, metadata: dict[str, Any]) -> Tensor:
        if self.config.background_color in ("white", "black"):
            return get_color(self.config.background_color)
        alpha_color = metadata.get("alpha_color")
        return get_color("black") if alpha_color is None else torch.tensor(alpha_color)

    def get_training_callbacks(self, attributes: TrainingCallbackAttributes) -> list[TrainingCallback]:
        """Before each step: tells the fields how far training is, lets them grow and the sampler follow, and sets the number of rays."""
        datamanager = attributes.pipeline.datamanager if attributes.pipeline is not None else None
        pixel_sampler = getattr(datamanager, "train_pixel_sampler", None)
        self.last_step = getattr(attributes.trainer, "last_step", None)
        optimizers = attributes.optimizers
        trained = [] if optimizers is None else list(optimizers.optimizers.values())
        lists = [] if optimizers is None else list(optimizers.parameters.values())

        def before_step(step: int) -> None:
            self.set_progress(self.progress_at(step))
            lines = grow(self, self.progress, trained, lists)
            self.has_grown = bool(lines)
            for line in lines:
                CONSOLE.print(f"Step {step}: {line}")
            self.sampler.before_step(step, self.scene)
            if pixel_sampler is not None:
                current = pixel_sampler.num_rays_per_batch
                wanted = self.sampler.num_rays(current)
                if wanted != current:
                    pixel_sampler.set_num_rays_per_batch(wanted)
                pixel_sampler.draws_depths = self._depth_weight() > 0.0

        return [
            TrainingCallback([TrainingCallbackLocation.BEFORE_TRAIN_ITERATION], before_step, update_every_num_iters=1)
        ]

    def progress_at(self, step: int) -> float:
        """How far the fields' schedules are at a step, in [0, 1]: the share of the training that is done. One that goes on after a
        checkpoint begins with its progress, however many steps follow, and ends at 1 too."""
        if not self.last_step:
            return 1.0
        first, progress = self.taken_up
        share = (step - first) / max(self.last_step - first, 1)
        return min(progress + (1.0 - progress) * share, 1.0)

    def take_up(self, step: int, progress: float) -> None:
        """To be called when a checkpoint of this step, whose fields' schedules were that far, was loaded."""
        self.taken_up = (step, progress)
        self.set_progress(progress)

    def set_progress(self, progress: float) -> None:
        """Tells fields, also the sampler's, how far their schedules are."""
        self.progress = progress
        self.field.set_progress(progress)
        self.sampler.set_progress(progress)

    def update_to_step(self, step: int) -> None:
        """Called when a checkpoint of this step is loaded."""
        self.sampler.set_step(step)

    def get_param_groups(self) -> dict[str, list[Parameter]]:
        """Those of field and sampler; "camera_opt" where poses are learnt."""
        cameras: dict[str, list[Parameter]] = {}
        self.camera_optimizer.get_param_groups(cameras)
        return join_groups(self.field.param_groups(), self.sampler.param_groups(), cameras)

    def parts(self) -> Parts:
        """What ``--freeze`` can name: the fields' parts."""
        return join_groups(self.field.parts(), self.sampler.parts())

    def get_outputs_for_camera(self, camera: Cameras, obb_box: OrientedBox | None = None) -> dict[str, Tensor]:
        """nerfstudio's. A camera without pixels gets one of each side, for whoever asked too: a browser's window may have no height or
        width while it opens, and the viewer's thread would end with a picture that lacks everything."""
        camera.height, camera.width = camera.height.clamp(min=1), camera.width.clamp(min=1)
        weights = (camera.metadata or {}).pop(PHOTO_WEIGHTS, None)
        with self.shown(weights):
            return self.render(camera, obb_box)

    def render(self, camera: Cameras, obb_box: OrientedBox | None = None) -> dict[str, Tensor]:
        """The picture of a camera, with the codes that are shown now; outputs as those of :meth:`get_outputs`, (h, w, ...)."""
        if obb_box is None:
            outputs = self.get_outputs_for_camera_ray_bundle(view_rays(camera))
        else:
            outputs = super().get_outputs_for_camera(camera, obb_box)
        if self.looks is not None:  # an affine appearance may leave [0, 1]
            outputs["rgb"] = outputs["rgb"].clamp(0.0, 1.0)
        return outputs

    @abstractmethod
    def colors_of(self, ray_bundle: RayBundle) -> Tensor:
        """Colours (n, 3) of rays as pictures have them, but differentiable in whatever asks for a gradient."""

    @property
    def needs(self) -> Needs:
        """What its fields ask of rays and points."""
        return self.field.needs | self.sampler.needs

    def _rays(self, ray_bundle: RayBundle) -> Rays:
        needs = self.needs
        if self.training:
            self.camera_optimizer.apply_to_raybundle(ray_bundle)
        else:
            needs = needs - {"camera_indices"}  # a picture's camera is no training photo
        rays = self.space.rays(ray_bundle, self.config.near_plane, self.config.far_plane)
        return self.space.complete(rays, ray_bundle, needs)

    def _points_at(self, positions: Tensor, time: float, directions: Tensor | None = None) -> Points:
        """Positions in the space (n, 3) as the field sees them at a time, seen along unit directions in the world, if they are.

        Each call of a field outside of a picture (a mesh, tracks) begins here, and so follows the load.
        """
        self._follow_load()
        times = torch.full_like(positions[:, 0], time) if "times" in self.field.needs else None
        return self.space.points_at(positions, self.field.needs, directions=directions, times=times)

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

    def _training_outputs(
        self, background: Tensor, sampling: Sampling, rendered: Composited, points: Points
    ) -> dict[str, Any]:
        """What only training sees: the background, samples and their weights, and the losses of sampler and field."""
        samples: PackedSamples = sampling.samples
        outputs: dict[str, Any] = {
            "background": background,
            "samples": samples,
            "weights": rendered.weights,
            "n_samples": samples.packed_info[:, 1],
            "n_dropped_rays": samples.n_dropped_rays,
            "losses": self.sampler.losses(sampling, rendered) | self.field.losses(points, rendered.weights),
        }
        return outputs if sampling.n_looked_at is None else outputs | {"n_looked_at": sampling.n_looked_at}

    def _depth_losses(self, outputs: dict[str, Any], batch: dict[str, Any]) -> dict[str, Tensor]:
        """That of rays whose depth is known, where the batch has some and it is not yet over.

        Raises:
            InputError: lengths in the space are none in the world.
        """
        weight = self._depth_weight()
        if "depths" not in batch or "samples" not in outputs or weight == 0.0:
            return {}
        if not self.space.has_world_units:
            raise InputError("depth_share: in normalized device coordinates there are no depths to learn: leave it out")
        loss = known_depth_loss(outputs["weights"], outputs["samples"], batch["depths"] / self.space.world_length)
        return {"depth_loss": weight * loss}

    def _depth_weight(self) -> float:
        """Of the loss of known depths, now."""
        return self.config.depth_loss_mult * max(1.0 - self.progress / self.config.depth_loss_until, 0.0)

    def _target(self, image: Tensor, background: Tensor) -> Tensor:
        """The image as seen over a background: RGBA is blended, RGB stays."""
        image = image.to(self.device)
        if image.shape[-1] == 3:
            return image
        known = self._known_target  # metrics and losses of a step ask for the same
        if known is None or known[0] is not image or known[1] is not background:
            target = torch.lerp(background.expand_as(image[..., :3]), image[..., :3], image[..., 3:])
            known = self._known_target = (image, background, target)
        return known[2]

    @torch.no_grad()
    def get_metrics_dict(self, outputs: dict[str, Tensor], batch: dict[str, Any]) -> dict[str, Tensor]:
        """PSNR of the batch; in training samples per ray, places looked at for them, rays dropped, and what the sampler shows."""
        background = outputs.get("background", self.picture_background)
        metrics = {"psnr": psnr(outputs["rgb"], self._target(batch["image"], background))}
        if "n_samples" in outputs:
            metrics["samples_per_ray"] = outputs["n_samples"].mean(dtype=torch.float32)
            metrics["dropped_rays"] = outputs["n_dropped_rays"]
        if "n_looked_at" in outputs:
            metrics["looked_at_per_ray"] = outputs["n_looked_at"].mean(dtype=torch.float32)
        metrics |= self.sampler.metrics()
        self.camera_optimizer.get_metrics_dict(metrics)
        return metrics

    def get_image_metrics_and_images(
        self, outputs: dict[str, Tensor], batch: dict[str, Any]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """PSNR, SSIM, LPIPS (where it can be had); image beside render, accumulation, depth. Where the batch has its ``camera`` and
        ``nearest_photo``, and the model codes of photos, the PSNRs of ``half_image.py`` too."""
        rgb = outputs["rgb"]
        image = self._target(batch["image"], self._background_of_pictures()).to(rgb.device)
        images = {
            "img": torch.cat([image, rgb], dim=1),
            "accumulation": colormaps.apply_colormap(outputs["accumulation"]),
            "depth": colormaps.apply_depth_colormap(outputs["depth"], accumulation=outputs["accumulation"]),
        }
        metrics = image_metrics(image, rgb)
        if self.looks is not None and "camera" in batch:
            metrics |= photo_psnrs(self, batch["camera"], image, rgb, batch["nearest_photo"])
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
