"""A radiance field of a moving scene: a canonical field, and a warp that takes the points of each time into it."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import (
    NO_DATASET,
    Dataset,
    Field,
    Parts,
    RadianceField,
    RadianceFieldConfig,
    join_groups,
)
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.fields.warps.base import Warp, WarpConfig, check_motion
from nerf_plugins.fields.warps.displacement import DisplacementConfig
from nerf_plugins.rays import Needs, Points


@dataclass
class DeformedFieldConfig(RadianceFieldConfig):
    """A canonical field seen through a warp."""

    _target: type = field(default_factory=lambda: DeformedField, kw_only=True)
    """target class to instantiate"""
    warp: WarpConfig = field(default_factory=DisplacementConfig)
    """What takes a point of some time to the canonical scene."""
    canonical: RadianceFieldConfig = field(default_factory=NeRFMLPConfig)
    """The canonical scene."""


class DeformedField(RadianceField):
    """Density and colour of a point at a time: those of the canonical field where the warp takes it, seen along the same direction.

    Source: Pumarola et al., D-NeRF, 2021, section 4.1. Its parameter groups are those of the canonical field and "warp", and so are its
    parts: ``--freeze warp``.

    Raises:
        InputError: the canonical field needs the cones of pixels, which a warp would bend; or all photos are of one time.
    """

    def __init__(self, config: DeformedFieldConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__()
        check_motion(dataset)
        self.config = config
        self.warp: Warp = config.warp.setup(dataset=dataset)
        self.canonical: RadianceField = config.canonical.setup(dataset=dataset)
        cones = self.canonical.needs & {"scales", "covariances"}
        if cones:
            raise InputError(
                f"field: a warp bends the cones of pixels ({', '.join(sorted(cones))}) that the canonical field "
                f"{type(self.canonical).__name__} needs: use one that needs points alone"
            )

    @property
    def needs(self) -> Needs:  # type: ignore[override]
        """What either needs."""
        return self.warp.needs | self.canonical.needs

    def param_groups(self) -> dict[str, list[Parameter]]:
        """ "warp", and the canonical field's."""
        return join_groups({"warp": list(self.warp.parameters())}, self.canonical.param_groups())

    def parts(self) -> Parts:
        """ "warp", and the canonical field's."""
        return join_groups({"warp": list(self.warp.parameters())}, self.canonical.parts())

    def losses(self, points: Points, weights: Float[Tensor, "n"]) -> dict[str, Tensor]:
        """Those of the warp, and of the canonical field at the warped points."""
        losses = self.warp.losses(points, weights)
        if type(self.canonical).losses is Field.losses:  # it has none: the points need not be warped once more
            return losses
        return losses | self.canonical.losses(self.in_canonical(points), weights)

    def in_canonical(self, points: Points) -> Points:
        """The points where they lie in the canonical scene."""
        return points._replace(positions=self.warp(points))

    def density(self, points: Points) -> Float[Tensor, "n"]:
        """Densities; see :class:`RadianceField`."""
        return self.canonical.density(self.in_canonical(points))

    def forward(self, points: Points) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Densities and colours; see :class:`RadianceField`."""
        return self.canonical(self.in_canonical(points))
