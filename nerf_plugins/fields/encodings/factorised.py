"""Features from planes and lines whose products stand for a dense grid; they become finer during the training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.encodings.base import Encoding, EncodingConfig
from nerf_plugins.fields.growing import Growing, Resize
from nerf_plugins.ops import PlaneGroup, PlaneLayout, plane_layout, plane_products, split_planes

_MAX_RESOLUTION = 1 << 14


@dataclass
class FactorisedEncodingConfig(EncodingConfig):
    """Planes and lines that become finer."""

    n_features: int = 16
    """Features of a vertex, which is how many components a product has. Multiples of 8 make good use of a CPU."""
    start_resolution: int = 64
    """Vertices along the cube's side at the start."""
    resolution: int = 128
    """Vertices along the cube's side at the end."""
    n_growths: int = 4
    """In how many steps the resolution grows, by the same factor each."""
    growth_start: float = 0.07
    """Share of the training after which it grows for the first time."""
    growth_end: float = 0.25
    """Share of the training after which it has grown for the last time."""

    def __post_init__(self) -> None:
        if self.n_features < 1:
            raise InputError(f"planes: n_features must be >= 1, got {self.n_features}")
        if not 2 <= self.start_resolution <= self.resolution <= _MAX_RESOLUTION:
            raise InputError(
                f"planes: 2 <= start_resolution <= resolution <= {_MAX_RESOLUTION} must hold, "
                f"got {self.start_resolution} and {self.resolution}"
            )
        if self.n_growths < 0 or not 0 <= self.growth_start <= self.growth_end <= 1:
            raise InputError(
                f"planes: n_growths must be >= 0 and 0 <= growth_start <= growth_end <= 1, "
                f"got {self.n_growths}, {self.growth_start:g} and {self.growth_end:g}"
            )

    def resolution_at(self, progress: float) -> int:
        """The resolution when a share of the training is done.

        Example:
            >>> config = FactorisedEncodingConfig(
            ...     start_resolution=32, resolution=128, n_growths=2, growth_start=0.1, growth_end=0.2
            ... )
            >>> [config.resolution_at(progress) for progress in (0.0, 0.1, 0.19, 0.2, 1.0)]
            [32, 64, 64, 128, 128]
        """
        between = (self.growth_end - self.growth_start) / max(self.n_growths - 1, 1)
        return self.resolutions[sum(progress >= self.growth_start + i * between for i in range(self.n_growths))]

    @property
    def resolutions(self) -> list[int]:
        """All that there are, from the first to the last."""
        if self.n_growths == 0:
            return [self.resolution]
        ratio = self.resolution / self.start_resolution
        return [round(self.start_resolution * ratio ** (i / self.n_growths)) for i in range(self.n_growths + 1)]


class FactorisedEncoding(Encoding, Growing):
    """Products of planes and lines (see :func:`ops.plane_products`), all in one table.

    What a subclass says: which planes and lines there are at a resolution, which are multiplied, and what they start from. Source of the
    growth: Chen et al., TensoRF, 2022, section 5 (coarse to fine reconstruction).
    """

    config: FactorisedEncodingConfig
    table: nn.Parameter
    """(n_vertices, n_features)"""
    factors: Tensor
    """Of the layouts of all resolutions, so that when the table grows nothing has to be sent to the device."""
    _known_layout: PlaneLayout | None = None

    def __init__(self, config: FactorisedEncodingConfig) -> None:
        super().__init__()
        self.config = config
        layouts = [self.layout_at(resolution) for resolution in config.resolutions]
        self.register_buffer("factors", torch.stack([layout.factors for layout in layouts]), persistent=False)
        layout = layouts[0]
        self.table = nn.Parameter(torch.empty(layout.n_vertices, config.n_features))
        with torch.no_grad():
            self.fill(split_planes(self.table, layout))

    @property
    def growing(self) -> tuple[str, ...]:
        """The table."""
        return ("table",)

    @abstractmethod
    def groups_at(self, resolution: int) -> Sequence[PlaneGroup]:
        """Planes and lines at a resolution."""

    @property
    @abstractmethod
    def products(self) -> Sequence[Sequence[int]]:
        """Which of them are multiplied; see :func:`ops.plane_layout`."""

    @abstractmethod
    def fill(self, planes: list[Float[Tensor, "..."]]) -> None:
        """Writes what training starts from into the planes and lines of each group."""

    @property
    def width(self) -> int:
        """Products times features."""
        return len(self.products) * self.config.n_features

    def layout_at(self, resolution: int) -> PlaneLayout:
        """Where planes and lines lie in a table of a resolution."""
        return plane_layout(self.groups_at(resolution), self.products)

    @property
    def resolution(self) -> int:
        """Vertices along the cube's side, by the table's length."""
        return self._resolution_of(len(self.table))

    @property
    def layout(self) -> PlaneLayout:
        """Where planes and lines lie in the table as it is."""
        known, device = self._known_layout, self.table.device
        if known is None or known.n_vertices != len(self.table) or known.factors.device != device:
            known = self._known_layout = self._layout_on_device()
        return known

    @property
    def planes(self) -> list[Float[Tensor, "..."]]:
        """Planes and lines, one tensor (how many, size, [size,] n_features) a group; with gradients."""
        return split_planes(self.table, self.layout)

    def forward(self, x: Float[Tensor, "n d"], dtype: torch.dtype = torch.float32) -> Float[Tensor, "n width"]:
        """Features of coordinates in [-1, 1], differentiable once."""
        return plane_products(x, self.table, self.layout).to(dtype)

    def grow(self, progress: float) -> Mapping[str, Resize]:
        """To the resolution that the configuration has for then, if that is finer."""
        before, after = self.resolution, self.config.resolution_at(progress)
        if after <= before:
            return {}
        return {"table": lambda table: resample(table, self.layout_at(before), self.layout_at(after))}

    def _layout_on_device(self) -> PlaneLayout:
        resolution = self.resolution
        layout, all_of_them = self.layout_at(resolution), self.config.resolutions
        if resolution in all_of_them:
            return layout._replace(factors=self.factors[all_of_them.index(resolution)])
        return layout._replace(factors=layout.factors.to(self.factors.device))  # a checkpoint's of other options

    def _resolution_of(self, n_vertices: int) -> int:
        low, high = 2, _MAX_RESOLUTION
        while low < high:  # finer ones are longer
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._n_vertices_at(middle) < n_vertices else (low, middle)
        if self._n_vertices_at(low) != n_vertices:
            raise InputError(
                f"planes: a table of {n_vertices} vertices fits no resolution: was it another decomposition's?"
            )
        return low

    def _n_vertices_at(self, resolution: int) -> int:
        return self.layout_at(resolution).n_vertices


def resample(
    table: Float[Tensor, "n_vertices n_features"], before: PlaneLayout, after: PlaneLayout
) -> Float[Tensor, "n_vertices_after n_features"]:
    """The planes and lines of a table, (bi)linearly interpolated at the vertices of another layout of the same groups."""
    parts = []
    for group, (_, *sizes) in zip(split_planes(table, before), after.shapes):
        mode = "bilinear" if len(sizes) == 2 else "linear"
        finer = F.interpolate(group.movedim(-1, 1), size=tuple(sizes), mode=mode, align_corners=True)
        parts.append(finer.movedim(1, -1).reshape(-1, table.shape[1]))
    return torch.cat(parts)
