"""What every field offers, whatever is inside: what it needs, its parts and parameter groups, its own losses, its progress."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from jaxtyping import Float
from nerfstudio.configs.base_config import InstantiateConfig
from torch import Tensor, nn
from torch.nn import Parameter

from nerf_plugins.fields.encodings.base import Encoding
from nerf_plugins.rays import NOTHING, Needs, Points

Parts = dict[str, list[Parameter]]
"""Parameters by the name that ``--freeze`` has for them. "geometry" is all that density or distance depends on, "color" the rest."""


class Dataset(NamedTuple):
    """What is known of the training photos when a field is made."""

    n_images: int = 0
    """How many there are: a code for each has as many rows."""
    times: Float[Tensor, "n_images"] | None = None
    """When each was taken, in [0, 1], where the dataset says."""
    metadata: Mapping[str, Any] = MappingProxyType({})
    """What else the dataparser gave."""
    background: Float[Tensor, "n_points 3"] | None = None
    """Points of what does not move, in the field's space, where the dataset has some."""

    @property
    def moves(self) -> bool:
        """Whether the photos are of more times than one."""
        return self.times is not None and bool((self.times != self.times[:1]).any())


NO_DATASET = Dataset()


class Field(nn.Module, ABC):
    """A function of points that is learnt."""

    needs: Needs = NOTHING
    """What it asks of points besides positions and directions; see :class:`nerf_plugins.rays.Points`. The rest is not computed."""

    def param_groups(self) -> dict[str, list[Parameter]]:
        """Its parameters by optimiser; each group has its entry in the method's configuration."""
        return {"fields": list(self.parameters())}

    def parts(self) -> Parts:
        """Its parameters by what ``--freeze`` calls them: all are "geometry", unless the field says otherwise (:func:`split_parts`)."""
        return {"geometry": list(self.parameters())}

    def losses(self, points: Points, weights: Float[Tensor, "n"]) -> dict[str, Tensor]:
        """Regularisers of a training step, already weighted, by name; they are added to the model's losses.

        Args:
            points: those that the step's rays were rendered from.
            weights: their rendering weights, with gradient; 0 in padding.
        """
        return {}

    def set_progress(self, progress: float) -> None:
        """Tells how far training is, in [0, 1]; encodings that go from coarse to fine follow it."""
        for module in self.modules():
            if isinstance(module, Encoding):
                module.set_progress(progress)


def split_parts(field: nn.Module, color: Iterable[nn.Module]) -> Parts:
    """ "color": the parameters of these modules; "geometry": all others of the field."""
    colors = [parameter for module in color for parameter in module.parameters()]
    ids = {id(parameter) for parameter in colors}
    return {"geometry": [p for p in field.parameters() if id(p) not in ids], "color": colors}


def join_groups(*groups: Mapping[str, list[Parameter]]) -> dict[str, list[Parameter]]:
    """Groups or parts of several owners, those of one name together."""
    joined: dict[str, list[Parameter]] = {}
    for owner in groups:
        for name, parameters in owner.items():
            joined.setdefault(name, []).extend(parameters)
    return joined


@dataclass
class RadianceFieldConfig(InstantiateConfig):
    """A radiance field; ``setup(dataset=...)`` makes it."""


class RadianceField(Field):
    """Density and view-dependent colour of points."""

    @abstractmethod
    def density(self, points: Points) -> Float[Tensor, "n"]:
        """Density >= 0; in 1 / unit of the space that the samples are marched in. Asks for no directions."""

    @abstractmethod
    def forward(self, points: Points) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Densities >= 0, and colours in [0, 1] as seen along the points' directions."""
