"""What every sampler offers, whatever it does: the one face that models see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from jaxtyping import Float, Shaped
from nerfstudio.configs.base_config import InstantiateConfig
from torch import Tensor, nn
from torch.nn import Parameter

from nerf_plugins.fields.base import Field, Parts, RadianceField, join_groups
from nerf_plugins.fields.sdf import Surface
from nerf_plugins.ops import Composited, PackedSamples
from nerf_plugins.rays import NOTHING, Needs, Rays
from nerf_plugins.spaces import Space

Scene = TypeVar("Scene", RadianceField, Surface)
MakeField = Callable[[], Field]


class Histogram(NamedTuple):
    """Weights in the intervals of rays."""

    samples: PackedSamples
    """The intervals."""
    weights: Float[Tensor, "n_samples"]
    """With gradient where they are to learn."""


class Sampling(NamedTuple):
    """Where rays are to be evaluated."""

    samples: PackedSamples
    """The samples: intervals of each ray."""
    n_looked_at: Shaped[Tensor, "n_rays"] | None = None
    """At how many places of each ray something was evaluated to choose the samples; None where nothing was."""
    passes: Mapping[str, Composited] = MappingProxyType({})
    """What the rays saw in earlier passes, by their names; with gradient in training, when the model adds their errors to its losses."""
    histograms: tuple[Histogram, ...] = ()
    """In training, what the sampler's own losses are made of: its proposals, from coarse to fine."""


@dataclass
class SamplerConfig(InstantiateConfig):
    """A sampler; ``setup(space=..., make_field=...)`` makes it."""

    @property
    def has_fixed_size(self) -> bool:
        """Whether on CUDA all batches of a training have equally many samples, padding included, as CUDA graphs need it."""
        return False


class Sampler(nn.Module, ABC, Generic[Scene]):
    """Rays in, samples out. What it learns or remembers is in its parameters and buffers, so checkpoints hold it.

    A sampler of radiance fields is a ``Sampler[RadianceField]``; one of NeuS a ``Sampler[Surface]``.

    Args:
        config: its options.
        space: where rays are marched.
        make_field: makes another field like the model's, for a sampler that has one of its own.
    """

    pass_factor: float = 1.0
    """Factor of the errors of earlier passes in the loss."""

    def __init__(self, config: SamplerConfig, space: Space, make_field: MakeField) -> None:
        super().__init__()
        self.space = space

    @abstractmethod
    def sample(self, rays: Rays, scene: Scene, stratified: bool) -> Sampling:
        """The samples of rays.

        Args:
            rays: rays of the space.
            scene: what is sampled.
            stratified: at random places (training), and with earlier passes that have gradients; else the same for the same ray.
        """

    @property
    def needs(self) -> Needs:
        """What its own fields ask of points."""
        own = (module.needs for module in self.children() if isinstance(module, Field))
        return NOTHING.union(*own)

    def before_step(self, step: int, scene: Scene) -> None:
        """To be called before each training step: what it remembers of the scene is brought up to date."""

    def set_step(self, step: int) -> None:
        """To be called when a checkpoint of this step was loaded."""

    def set_progress(self, progress: float) -> None:
        """Tells how far training is, in [0, 1]; fields of its own are told."""
        for module in self.children():
            if isinstance(module, Field):
                module.set_progress(progress)

    def num_rays(self, current: int) -> int:
        """Rays of the next training batch.

        Args:
            current: rays of the batches until now.
        """
        return current

    def losses(self, sampling: Sampling, rendered: Composited) -> dict[str, Tensor]:
        """Its own losses of a training step, already weighted, by name.

        Args:
            sampling: what it gave.
            rendered: what the model has made of it, with gradient.
        """
        return {}

    def metrics(self) -> dict[str, Tensor]:
        """What is to be shown of its state."""
        return {}

    def param_groups(self) -> dict[str, list[Parameter]]:
        """Its parameters by optimiser: those of fields of its own as these say, and others as "fields"."""
        groups = join_groups(*(module.param_groups() for module in self.children() if isinstance(module, Field)))
        grouped = {id(parameter) for group in groups.values() for parameter in group}
        others = [parameter for parameter in self.parameters() if id(parameter) not in grouped]
        return join_groups(groups, {"fields": others}) if others else groups

    def parts(self) -> Parts:
        """Its parameters by what ``--freeze`` calls them: those of fields of its own as these say."""
        return join_groups(*(module.parts() for module in self.children() if isinstance(module, Field)))
