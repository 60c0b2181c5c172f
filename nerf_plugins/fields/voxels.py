"""A grid of densities and colour features over [-1, 1]^3 that becomes finer, and forgets what is empty."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from nerfstudio.configs.base_config import InstantiateConfig
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.fields.growing import Growing, Resize
from nerf_plugins.ops import voxel_look_up, voxel_tv

Activation = Callable[[Tensor], Tensor]


@dataclass
class VoxelGridConfig(InstantiateConfig):
    """The grid of voxels."""

    _target: type = field(default_factory=lambda: VoxelGrid, kw_only=True)
    """target class to instantiate"""
    resolutions: tuple[int, ...] = (48, 88, 160)
    """Vertices along each side of the cube, ascending: at the start, and each time that the grid becomes finer."""
    last_growth: float = 0.3
    """Share of the training after which the grid has its last resolution; it becomes finer in even stages until then."""
    min_density: float = 1.0
    """When the grid becomes finer, vertices are given up where nothing around is as dense as this, in 1 / unit of the scene.
    0 keeps all."""
    density_tv: float = 0.0
    """Weight of the total variation of the densities before their activation."""
    color_tv: float = 0.0
    """Weight of the total variation of the colours' numbers."""
    tv_share: float = 0.05
    """Share of the vertices whose total variation is looked at."""
    tv_interval: int = 4
    """One step in so many, at random, looks at the total variation; it then weighs so many times as much."""

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.resolutions, self.resolutions[1:]))
        if not self.resolutions or self.resolutions[0] < 2 or not ascending:
            raise InputError(f"voxels: resolutions must be 2 or more and ascend, got {self.resolutions}")
        for name in ("last_growth", "tv_share"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"voxels: {name} must be in (0, 1], got {getattr(self, name):g}")
        if self.tv_interval < 1:
            raise InputError(f"voxels: tv_interval must be >= 1, got {self.tv_interval}")
        for name in ("min_density", "density_tv", "color_tv"):
            if getattr(self, name) < 0:
                raise InputError(f"voxels: {name} must be >= 0, got {getattr(self, name):g}")

    def resolution_at(self, progress: float) -> int:
        """The resolution that is due when training is so far, in [0, 1]."""
        stages = len(self.resolutions) - 1
        return self.resolutions[min(int(stages * progress / self.last_growth + 1e-9), stages)]


class VoxelGrid(Growing):
    """Numbers at the vertices that are kept, interpolated between them; all others have zeros.

    A kept vertex has a row in both parameters, in the order of the vertices.

    Args:
        config: its options.
        color_width: numbers of a colour.
        density: what the number of a density starts as.
        activate: (n, 1) numbers to densities.
    """

    kept: Tensor
    """(r, r, r) bool, by z, y, x: which vertices have a row."""

    def __init__(self, config: VoxelGridConfig, color_width: int, density: float, activate: Activation) -> None:
        super().__init__()
        self.config, self.activate = config, activate
        resolution = config.resolutions[0]
        self.density = nn.Parameter(torch.full((resolution**3, 1), density))
        self.color = nn.Parameter(torch.zeros(resolution**3, color_width))
        self.register_buffer("kept", torch.ones(resolution, resolution, resolution, dtype=torch.bool))
        self._known: tuple[Tensor, int, Tensor, Tensor] | None = None

    @property
    def growing(self) -> tuple[str, ...]:
        """All it has."""
        return ("density", "color", "kept")

    @property
    def links(self) -> Int[Tensor, "r r r"]:
        """Which row is a vertex's; -1 where there is none."""
        return self._rows()[0]

    @property
    def vertices(self) -> Int[Tensor, "n_rows"]:
        """Which vertex is a row's."""
        return self._rows()[1]

    def _rows(self) -> tuple[Tensor, Tensor]:
        """``links`` and ``vertices``, made anew when ``kept`` has changed."""
        known = self._known
        if known is None or known[0] is not self.kept or known[1] != self.kept._version:
            known = self._known = (self.kept, self.kept._version, *number_rows(self.kept, len(self.density)))
        return known[2:]

    def densities(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Densities at positions: interpolated, then activated. Differentiable in parameters and positions."""
        return self.activate(voxel_look_up(positions, self.density, self.links))[:, 0]

    def colors(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "n width"]:
        """The colours' numbers at positions. Differentiable in parameters and positions."""
        return voxel_look_up(positions, self.color, self.links)

    def losses(self) -> dict[str, Tensor]:
        """In some steps, the total variation of some rows, next to each other and anywhere in the grid, weighted."""
        config, n_rows = self.config, len(self.density)
        if random.randrange(config.tv_interval):
            return {}
        n_blocks = max(round(1 / config.tv_share), 1)
        block = random.randrange(n_blocks)  # of the host: nothing waits for it
        place = (self.links, self.vertices, n_rows * block // n_blocks, n_rows * (block + 1) // n_blocks)
        weighted = {"density_tv": (config.density_tv, self.density), "color_tv": (config.color_tv, self.color)}
        return {
            name: config.tv_interval * weight * voxel_tv(rows, *place)
            for name, (weight, rows) in weighted.items()
            if weight > 0
        }

    def grow(self, progress: float) -> Mapping[str, Resize]:
        """Makes the grid finer where its next resolution is due; the new vertices begin with what was interpolated at their places."""
        resolution = self.config.resolution_at(progress)
        if resolution <= len(self.kept):
            return {}
        links = self.links
        self.kept = self._still_needed(resolution)
        positions = vertex_positions(self.kept)

        def resize(rows: Tensor) -> Tensor:
            return voxel_look_up(positions, rows, links)

        return {"density": resize, "color": resize}

    @torch.no_grad()
    def _still_needed(self, resolution: int) -> Bool[Tensor, "r r r"]:
        """Vertices of a finer grid that lie in today's cells with something dense at a corner; all where nothing is."""
        numbers = torch.zeros(self.kept.shape, device=self.kept.device)
        numbers[self.kept] = self.density[:, 0]
        dense = self.activate(numbers.view(-1, 1)).view(self.kept.shape) >= self.config.min_density
        share = F.interpolate(
            (dense & self.kept).float()[None, None], size=[resolution] * 3, mode="trilinear", align_corners=True
        )
        finer = share[0, 0] > 0
        return finer | ~finer.any()


def number_rows(kept: Bool[Tensor, "nz ny nx"], n_rows: int) -> tuple[Int[Tensor, "nz ny nx"], Int[Tensor, "n_rows"]]:
    """(links, vertices): the row of each vertex that is kept, in their order, -1 for the others; and the vertex of each row. int32.

    Args:
        kept: which vertices have a row.
        n_rows: how many those are. Known to the host, so that nothing waits for the device.
    """
    flat = kept.view(-1)
    links = torch.where(flat, flat.cumsum(0) - 1, -1).int()
    vertices = links.new_zeros(n_rows + 1)
    vertices[torch.where(flat, links, n_rows).long()] = torch.arange(len(flat), dtype=torch.int32, device=kept.device)
    return links.view(kept.shape), vertices[:n_rows]


def vertex_positions(kept: Bool[Tensor, "nz ny nx"]) -> Float[Tensor, "n_rows 3"]:
    """Where in [-1, 1]^3 the kept vertices are, as (x, y, z), in their order."""
    last = torch.tensor(kept.shape, device=kept.device).flip(0) - 1
    return kept.nonzero().flip(1) * (2.0 / last) - 1.0
