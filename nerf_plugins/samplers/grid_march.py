"""Marching rays through the occupancy grid: what the samplers with a grid share."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from nerfstudio.viewer.viewer_elements import ViewerSlider
from torch import Tensor, nn

from nerf_plugins.errors import InputError
from nerf_plugins.ops import PackedSamples, empty_blocks, march_grid
from nerf_plugins.rays import Needs, Points, Rays
from nerf_plugins.samplers.base import MakeField, Sampler, SamplerConfig, Scene
from nerf_plugins.samplers.nerfacc_march import march_with_nerfacc, require_nerfacc
from nerf_plugins.samplers.occupancy_grid import DensityFn, OccupancyGrid, OccupancyGridConfig
from nerf_plugins.samplers.ray_budget import RayBudget, RayBudgetConfig
from nerf_plugins.spaces import Space

# A scene of any size: level 4 is 16 boxes wide, beyond it disparity hardly changes.
_UNBOUNDED_LEVELS = 5
# The step of an unbounded scene grows with distance as a pixel does; instant-ngp's.
_UNBOUNDED_CONE_ANGLE = 1 / 256


@dataclass
class GridMarchConfig(SamplerConfig):
    """Marching through an occupancy grid."""

    grid: OccupancyGridConfig = field(default_factory=OccupancyGridConfig)
    """The grid."""
    budget: RayBudgetConfig = field(default_factory=RayBudgetConfig)
    """How many rays a training batch has."""
    marcher: Literal["warp", "nerfacc"] = "warp"
    """Whose kernels march: ours, or nerfacc's (CUDA only, compiles its extension at first use)."""
    steps_per_diagonal: int = 400
    """Steps that cross the diagonal of the scene box: sets the step size."""
    warmup_coarseness: float = 4.0
    """While every cell counts as occupied, steps are this many times larger."""
    cone_angle: float | None = None
    """Growth of the step with distance. None: 0 where the space has bounds, 1/256 where it has none."""

    def __post_init__(self) -> None:
        if self.steps_per_diagonal < 1:
            raise InputError(f"occupancy grid: steps_per_diagonal must be >= 1, got {self.steps_per_diagonal}")
        if self.warmup_coarseness < 1:
            raise InputError(f"occupancy grid: warmup_coarseness must be >= 1, got {self.warmup_coarseness}")
        if self.cone_angle is not None and self.cone_angle < 0:
            raise InputError(f"occupancy grid: cone_angle must be >= 0, got {self.cone_angle}")

    @property
    def has_fixed_size(self) -> bool:
        """With our kernels, which fill a buffer of ``budget.capacity``."""
        return self.marcher == "warp"


class GridMarch(nn.Module):
    """Steps of one size (or growing ones) along rays, wherever the grid is occupied."""

    def __init__(self, config: GridMarchConfig, space: Space) -> None:
        super().__init__()
        if config.marcher == "nerfacc":
            require_nerfacc()
        self.config = config
        levels = config.grid.levels or (_UNBOUNDED_LEVELS if space.unbounded else 1)
        self.grid = OccupancyGrid(config.grid, space.aabb, levels)
        self.diagonal = float((space.aabb[1] - space.aabb[0]).norm())
        sides = (space.aabb[1] - space.aabb[0]) / config.grid.resolution
        # Once, not at each update of the grid: there the host would wait for the device.
        self.cell_scale = float(sides.prod()) ** (1 / 3) / math.sqrt(12.0)
        """Standard deviation of a point somewhere in a cell of the finest level, as the mean over the axes."""
        cone_angle = _UNBOUNDED_CONE_ANGLE if space.unbounded else 0.0
        self.cone_angle = cone_angle if config.cone_angle is None else config.cone_angle
        self.coarseness = config.warmup_coarseness
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
    def step_size(self) -> float:
        """The step of the march after the warm-up."""
        return self.diagonal / self.config.steps_per_diagonal

    def set_step(self, step: int) -> None:
        """Tells how far training is: until the grid has formed, steps are coarse."""
        self.coarseness = self.config.warmup_coarseness if self.grid.is_warming_up(step) else 1.0

    def update(self, step: int, density_fn: DensityFn) -> None:
        """Keeps the grid up to date; to be called before each training step.

        Args:
            step: the training step.
            density_fn: densities at positions of the space.
        """
        self.grid.update(step, density_fn, self.step_size)
        self.set_step(step)

    def march(self, rays: Rays, room: int = 1) -> PackedSamples:
        """Steps for training: jittered; a fixed buffer on CUDA, ``room`` times as long as the budget's ``capacity``."""
        return self._march(
            rays,
            self.step_size * self.coarseness,
            jitter=torch.rand_like(rays.nears),
            capacity=room * self.config.budget.room if rays.origins.is_cuda else None,
        )

    def march_for_render(self, rays: Rays, opacity_threshold: float | None = None) -> PackedSamples:
        """Steps for a picture: the same for the same ray, exactly as many as there are, as the viewer's sliders have it.

        Args:
            rays: the rays.
            opacity_threshold: other than the slider's.
        """
        step_size = self.coarseness * self.diagonal / int(self.viewer_steps.value)
        threshold = float(self.viewer_threshold.value) if opacity_threshold is None else opacity_threshold
        is_own = threshold == self.config.grid.opacity_threshold
        occupied = None if is_own else self.grid.occupied_above(threshold, step_size)
        return self._march(rays, step_size, jitter=torch.full_like(rays.nears, 0.5), occupied=occupied)

    def _march(
        self,
        rays: Rays,
        step_size: float,
        jitter: Float[Tensor, "n_rays"],
        capacity: int | None = None,
        occupied: Tensor | None = None,
    ) -> PackedSamples:
        blocks = self.grid.empty_blocks if occupied is None else empty_blocks(occupied)
        occupied = self.grid.occupied if occupied is None else occupied
        if self.config.marcher == "nerfacc":
            return march_with_nerfacc(rays, occupied, self.grid.aabb, step_size, self.cone_angle, jitter)
        return march_grid(
            rays.origins,
            rays.directions,
            rays.nears,
            rays.fars,
            occupied,
            self.grid.aabb,
            empty_blocks=blocks,
            step_size=step_size,
            cone_angle=self.cone_angle,
            max_step_size=max(step_size, self.diagonal) if self.cone_angle > 0 else math.inf,
            jitter=jitter,
            capacity=capacity,
        )


class GridSampler(Sampler[Scene]):
    """A sampler that marches the grid, and lets the number of rays follow their samples."""

    def __init__(self, config: GridMarchConfig, space: Space, make_field: MakeField) -> None:
        super().__init__(config, space, make_field)
        self.march = GridMarch(config, space)
        self.budget = RayBudget(config.budget)

    @abstractmethod
    def density(self, positions: Float[Tensor, "n 3"], scene: Scene) -> Float[Tensor, "n"]:
        """Densities at positions of the space, anywhere in the cells (:meth:`points_in_cells`): which of them the grid keeps."""

    def before_step(self, step: int, scene: Scene) -> None:
        """Visits some cells of the grid; see :class:`OccupancyGrid`."""
        self.march.update(step, lambda positions: self.density(positions, scene))

    def points_in_cells(self, positions: Float[Tensor, "n 3"], needs: Needs) -> Points:
        """Positions in cells as a field sees them, as large as a cell. A field that needs a time is asked at random ones, so a cell is
        occupied if it ever is; one that needs a photo gives its mean code."""
        times = torch.rand_like(positions[:, 0]) if "times" in needs else None
        return self.space.points_at(positions, needs, times=times, scale=self.march.cell_scale)

    def set_step(self, step: int) -> None:
        """The march is coarse until the grid has formed."""
        self.march.set_step(step)

    def num_rays(self, current: int) -> int:
        """As many as fit into the budget."""
        return self.budget.rays(current)

    def metrics(self) -> dict[str, Tensor]:
        """``occupied_fraction``."""
        return {"occupied_fraction": self.march.grid.fraction_occupied}
