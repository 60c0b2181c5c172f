"""HyperNeRF's field: the canonical scene has further dimensions, in which it may change its topology."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import NO_DATASET, Dataset, Parts, join_groups
from nerf_plugins.fields.deformed import DeformedField, DeformedFieldConfig
from nerf_plugins.fields.encodings import WindowedEncoding, WindowedEncodingConfig
from nerf_plugins.fields.layers import pad_rows
from nerf_plugins.fields.nerf_mlp import NeRFMLP, NeRFMLPConfig
from nerf_plugins.fields.slices import Plane, Sheet, SheetConfig
from nerf_plugins.fields.warps.network import NetworkWarp
from nerf_plugins.rays import Points


@dataclass
class AmbientMLPConfig(NeRFMLPConfig):
    """The MLP of the NeRF paper in more than three dimensions."""

    _target: type = field(default_factory=lambda: AmbientMLP, kw_only=True)
    """target class to instantiate"""
    n_ambient: int = 2
    """Further dimensions."""
    ambient: WindowedEncodingConfig = field(
        default_factory=lambda: WindowedEncodingConfig(n_frequencies=1, keeps_input=False, delay=0.004, share=0.044)
    )
    """The encoding of their coordinates. By default they do nothing at first: what can be moved is to be moved."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_ambient < 1:
            raise InputError(f"field: n_ambient must be >= 1, got {self.n_ambient}; without any it is nerfies-custom")


class AmbientMLP(NeRFMLP):
    """As :class:`NeRFMLP`, of position and ambient coordinates (``Points.ambient``)."""

    config: AmbientMLPConfig

    def __init__(self, config: AmbientMLPConfig, dataset: Dataset = NO_DATASET) -> None:
        ambient = WindowedEncoding(config.ambient, config.n_ambient)
        super().__init__(config, dataset, further_width=ambient.width)
        self.ambient = ambient

    def _encoded(self, points: Points, dtype: torch.dtype) -> Tensor:
        assert points.ambient is not None, "the field needs ambient coordinates"
        return torch.cat([super()._encoded(points, dtype), self.ambient(pad_rows(points.ambient), dtype)], dim=-1)


@dataclass
class HyperFieldConfig(DeformedFieldConfig):
    """A canonical field in further dimensions, seen through a warp and a slice."""

    _target: type = field(default_factory=lambda: HyperField, kw_only=True)
    """target class to instantiate"""
    canonical: AmbientMLPConfig = field(default_factory=AmbientMLPConfig)  # type: ignore[assignment]
    """The canonical scene."""
    slicing: Literal["sheet", "plane"] = "sheet"
    """Where a time lies in the further dimensions. sheet: at each point elsewhere, as a network says. plane: everywhere in one place."""
    sheet: SheetConfig = field(default_factory=SheetConfig)
    """The network of the sheet."""


class HyperField(DeformedField):
    """As :class:`DeformedField`; a point of a time is looked up where the warp takes it and where the slice of that time lies.

    Source: Park et al., HyperNeRF, 2021, sections 3 and 4. Parameters of the slice belong to the group and the part "warp".
    """

    def __init__(self, config: HyperFieldConfig, dataset: Dataset = NO_DATASET) -> None:
        super().__init__(config, dataset)
        if not isinstance(self.warp, NetworkWarp):
            raise InputError(
                f"field: a sheet shares the codes of a warp by a network, and {type(self.warp).__name__} has none"
            )
        n_ambient = config.canonical.n_ambient
        if config.slicing == "plane":
            self.slice: Plane | Sheet = Plane(n_ambient, dataset)
        else:
            self.slice = Sheet(config.sheet, n_ambient, self.warp.network.time.width)

    def param_groups(self) -> dict[str, list[Parameter]]:
        """ "warp", and the canonical field's."""
        return join_groups(super().param_groups(), {"warp": list(self.slice.parameters())})

    def parts(self) -> Parts:
        """ "warp", and the canonical field's."""
        return join_groups(super().parts(), {"warp": list(self.slice.parameters())})

    def in_canonical(self, points: Points) -> Points:
        """The points where they lie in the canonical scene, with their ambient coordinates."""
        return super().in_canonical(points)._replace(ambient=self.ambient(points))

    def ambient(self, points: Points) -> Float[Tensor, "n n_ambient"]:
        """Where the slice of each point's time is in the further dimensions."""
        assert isinstance(self.warp, NetworkWarp)
        return self.slice(points, self.warp.network.time)
