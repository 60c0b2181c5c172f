"""Cases computed by hand, used against the references and against the ops; and random problems."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

FAR = 1e10


class MarchCase(NamedTuple):
    """One ray; ``aabb``, occupied cells and the samples worked out on paper."""

    name: str
    origin: tuple
    direction: tuple
    edges: list
    """The expected (t_start, t_end) of each sample."""
    occupied: list | None = None
    """The occupied cells (level, x, y, z); None means all."""
    resolution: tuple = (1, 2, 2, 2)
    aabb: tuple = ((-1, -1, -1), (1, 1, 1))
    near: float = 0.0
    far: float = FAR
    jitter: float = 0.0
    steps: dict = {"step_size": 0.5}  # noqa: RUF012

    def tensors(self) -> dict:
        """The arguments of march_grid, with the ray as the only one."""
        occupancy = torch.full(self.resolution, self.occupied is None)
        for cell in self.occupied or []:
            occupancy[cell] = True
        return {
            "origins": torch.tensor([self.origin], dtype=torch.float32),
            "directions": torch.tensor([self.direction], dtype=torch.float32),
            "nears": torch.tensor([self.near]),
            "fars": torch.tensor([self.far]),
            "occupancy": occupancy,
            "aabb": torch.tensor(self.aabb, dtype=torch.float32),
        }


# A ray along x enters the box [-1, 1] at t = 2 and leaves it at t = 4, unless a case says otherwise.
MARCH_CASES = [
    MarchCase("full", (-3, 0.5, 0.5), (1, 0, 0), [(2, 2.5), (2.5, 3), (3, 3.5), (3.5, 4)]),
    MarchCase("negative direction", (3, 0.5, 0.5), (-1, 0, 0), [(2, 2.5), (2.5, 3), (3, 3.5), (3.5, 4)]),
    MarchCase("negative zeros", (-3, 0.5, 0.5), (1, -0.0, -0.0), [(2, 2.5), (2.5, 3), (3, 3.5), (3.5, 4)]),
    MarchCase("far cell", (-3, 0.5, 0.5), (1, 0, 0), [(3, 3.5), (3.5, 4)], occupied=[(0, 1, 1, 1)]),
    MarchCase("near cell", (-3, 0.5, 0.5), (1, 0, 0), [(2, 2.5), (2.5, 3)], occupied=[(0, 0, 1, 1)]),
    MarchCase("far cell, backwards", (3, 0.5, 0.5), (-1, 0, 0), [(3, 3.5), (3.5, 4)], occupied=[(0, 0, 1, 1)]),
    MarchCase("other row", (-3, 0.5, 0.5), (1, 0, 0), [], occupied=[(0, 0, 0, 1), (0, 1, 1, 0), (0, 0, 0, 0)]),
    MarchCase("along y", (0.5, -3, -0.5), (0, 1, 0), [(3, 3.5), (3.5, 4)], occupied=[(0, 1, 1, 0)]),
    MarchCase("along z", (0.5, -0.5, -3), (0, 0, 1), [(3, 3.5), (3.5, 4)], occupied=[(0, 1, 0, 1)]),
    # The last interval sticks out of the box, but its midpoint does not: 3.75 < 4.
    MarchCase(
        "step no divisor", (-3, 0.5, 0.5), (1, 0, 0), [(2, 2.7), (2.7, 3.4), (3.4, 4.1)], steps={"step_size": 0.7}
    ),
    # Midpoint 4.05 lies outside, though the interval begins inside.
    MarchCase("midpoint outside", (-3, 0.5, 0.5), (1, 0, 0), [(2, 2.82), (2.82, 3.64)], steps={"step_size": 0.82}),
    MarchCase("one long step", (-3, 0.5, 0.5), (1, 0, 0), [(2, 5)], steps={"step_size": 3.0}),
    MarchCase("too long a step", (-3, 0.5, 0.5), (1, 0, 0), [], steps={"step_size": 5.0}),
    # t is in units of the direction's length.
    MarchCase(
        "direction of length 2",
        (-3, 0.5, 0.5),
        (2, 0, 0),
        [(1.5, 1.75), (1.75, 2)],
        occupied=[(0, 1, 1, 1)],
        steps={"step_size": 0.25},
    ),
    MarchCase(
        "jitter",
        (-3, 0.5, 0.5),
        (1, 0, 0),
        [(2.125, 2.625), (2.625, 3.125), (3.125, 3.625), (3.625, 4.125)],
        jitter=0.25,
    ),
    # Jitter shifts the whole lattice: the fourth midpoint is 4.2.
    MarchCase("much jitter", (-3, 0.5, 0.5), (1, 0, 0), [(2.45, 2.95), (2.95, 3.45), (3.45, 3.95)], jitter=0.9),
    MarchCase("near inside", (-3, 0.5, 0.5), (1, 0, 0), [(3.1, 3.6), (3.6, 4.1)], near=3.1),
    MarchCase("far inside", (-3, 0.5, 0.5), (1, 0, 0), [(2, 2.5), (2.5, 3)], far=3.1),
    MarchCase("starts inside", (0.1, 0.5, 0.5), (1, 0, 0), [(0, 0.5), (0.5, 1)]),
    MarchCase("box behind", (3, 0.5, 0.5), (1, 0, 0), []),
    MarchCase("misses", (-3, 1.5, 0.5), (1, 0, 0), []),
    MarchCase("misses, oblique", (-3, 0.5, 0.5), (1, 1, 0), []),
    MarchCase("ends before the box", (-3, 0.5, 0.5), (1, 0, 0), [], far=1.5),
    MarchCase("begins after the box", (-3, 0.5, 0.5), (1, 0, 0), [], near=4.5),
    MarchCase("near equals far", (-3, 0.5, 0.5), (1, 0, 0), [], near=3.0, far=3.0),
    MarchCase("near past far", (-3, 0.5, 0.5), (1, 0, 0), [], near=3.5, far=3.0),
    MarchCase("near equals far, far away", (-3, 0.5, 0.5), (1, 0, 0), [], near=1e10, far=1e10),
    MarchCase(
        "diagonal",
        (-2, -2, -2),
        (1, 1, 1),
        [(1, 1.45), (1.45, 1.9), (1.9, 2.35), (2.35, 2.8)],
        occupied=[(0, 0, 0, 0), (0, 1, 1, 1)],
        steps={"step_size": 0.45},
    ),
    # Step max(0.25 t, 0.5): 0.5, 0.625, 0.78125; the fourth interval's midpoint 4.39 lies outside.
    MarchCase(
        "cone",
        (-3, 0.5, 0.5),
        (1, 0, 0),
        [(2, 2.5), (2.5, 3.125), (3.125, 3.90625)],
        steps={"step_size": 0.5, "cone_angle": 0.25},
    ),
    MarchCase(
        "cone, longest step",
        (-3, 0.5, 0.5),
        (1, 0, 0),
        [(2, 2.5), (2.5, 3.125), (3.125, 3.825)],
        steps={"step_size": 0.5, "cone_angle": 0.25, "max_step_size": 0.7},
    ),
    # The jitter is in units of the first step, Δ(2) = 1: edges 2.25, 3.375, 5.0625; the second midpoint is outside.
    MarchCase(
        "cone, jitter",
        (-3, 0.5, 0.5),
        (1, 0, 0),
        [(2.25, 3.375)],
        jitter=0.25,
        steps={"step_size": 0.5, "cone_angle": 0.5},
    ),
    # The intervals of the empty first cell still shape those of the second.
    MarchCase(
        "cone, empty cell",
        (-3, 0.5, 0.5),
        (1, 0, 0),
        [(3.125, 3.90625)],
        occupied=[(0, 1, 1, 1)],
        steps={"step_size": 0.5, "cone_angle": 0.25},
    ),
    # Level 1 is [-2, 2]: t from 1 to 5. Cells of level 1 are 2 wide, and level 0 hides their inner part:
    # midpoints x = -1.5 (level 1, cell 0: occupied), -0.5 (level 0, cell 0: empty), 0.5 (level 0, cell 1: occupied),
    # 1.5 (level 1, cell 1: empty).
    MarchCase(
        "two levels",
        (-3, 0.5, 0.5),
        (1, 0, 0),
        [(1, 2), (3, 4)],
        occupied=[(0, 1, 1, 1), (1, 0, 1, 1)],
        resolution=(2, 2, 2, 2),
        steps={"step_size": 1.0},
    ),
    # Beside level 0 (y = 1.5) only level 1 counts.
    MarchCase(
        "two levels, past the inner box",
        (-3, 1.5, 0.5),
        (1, 0, 0),
        [(1, 2), (2, 3)],
        occupied=[(0, 1, 1, 1), (1, 0, 1, 1)],
        resolution=(2, 2, 2, 2),
        steps={"step_size": 1.0},
    ),
    # Level 2 is [-4, 4] in x: t from 1 to 9. x = -3.5 -2.5 | -1.5 | -0.5 0.5 | 1.5 | 2.5 3.5 by levels 2 1 0 1 2.
    MarchCase(
        "three levels",
        (-5, 0.5, 0.5),
        (1, 0, 0),
        [(1, 2), (2, 3), (5, 6), (6, 7)],
        occupied=[(0, 1, 1, 1), (1, 1, 1, 1), (2, 0, 1, 1)],
        resolution=(3, 2, 2, 2),
        steps={"step_size": 1.0},
    ),
    # Cells of 1 x 1 x 0.5; the ray at y = 1.5, z = 0.75 is in row 1, layer 1.
    MarchCase(
        "long box, off centre",
        (5, 1.5, 0.75),
        (-1, 0, 0),
        [(1, 1.5), (1.5, 2), (3, 3.5), (3.5, 4)],
        occupied=[(0, 3, 1, 1), (0, 1, 1, 1), (0, 0, 0, 1), (0, 2, 1, 0)],
        resolution=(1, 4, 2, 2),
        aabb=((0, 0, 0), (4, 2, 1)),
    ),
    # The centre (2, 1, 0.5) stays, the half extents double: x from -2 to 6, y from -1 to 3, z from -0.5 to 1.5.
    # Level 1's cells are 2 x 2 x 1: x = -1 is cell 0, x = 5 is cell 3; y = 1.5 is cell 1; z = 0.75 is cell 1.
    MarchCase(
        "long box, two levels",
        (-4, 1.5, 0.75),
        (1, 0, 0),
        [(2, 4), (8, 10)],
        occupied=[(1, 0, 1, 1), (1, 3, 1, 1)],
        resolution=(2, 4, 2, 2),
        aabb=((0, 0, 0), (4, 2, 1)),
        steps={"step_size": 2.0},
    ),
]


class MarchProblem(NamedTuple):
    """Random rays through a random grid: the arguments of march_grid."""

    rays: dict
    occupancy: Tensor
    aabb: Tensor
    steps: dict

    def arguments(self) -> dict:
        """Everything but the steps, by name."""
        return {**self.rays, "occupancy": self.occupancy, "aabb": self.aabb}


def random_march_problem(
    generator: torch.Generator,
    n_rays: int,
    *,
    levels: int = 1,
    resolution: tuple = (8, 8, 8),
    density: float = 0.3,
    n_steps: int = 50,
    cone_angle: float = 0.0,
    with_jitter: bool = True,
) -> MarchProblem:
    """Rays from around (and inside) an anisotropic box, off centre, about ``n_steps`` lattice intervals each."""
    rand = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    low = rand(3) * 2 - 1
    aabb = torch.stack([low, low + 0.5 + rand(3)])
    outer = (aabb[1] - aabb[0]) * 2 ** (levels - 1)
    centre = aabb.mean(0)
    targets = centre + (rand(n_rays, 3) - 0.5) * outer
    origins = centre + (rand(n_rays, 3) - 0.5) * outer * 3
    directions = (targets - origins) / (targets - origins).norm(dim=-1, keepdim=True) * 1.7
    along_axis = rand(n_rays) < 0.2
    only_x = torch.cat([directions[:, :1], torch.zeros(n_rays, 2)], dim=-1)
    directions = torch.where(along_axis[:, None], only_x, directions)
    rays = {
        "origins": origins,
        "directions": directions,
        "nears": rand(n_rays) * 0.2,
        "fars": torch.where(rand(n_rays) < 0.5, torch.tensor(FAR), rand(n_rays) * 4),
        "jitter": rand(n_rays) if with_jitter else None,
    }
    occupancy = rand(levels, *resolution) < density
    step_size = float(outer.norm()) / 1.7 / n_steps
    steps = {"step_size": step_size, "cone_angle": cone_angle}
    if cone_angle:
        steps["max_step_size"] = 4 * step_size
    return MarchProblem(rays, occupancy, aabb, steps)


class Packed(NamedTuple):
    """Samples of several rays, ready for compositing."""

    sigmas: Tensor
    rgbs: Tensor
    t_starts: Tensor
    t_ends: Tensor
    packed_info: Tensor

    def double(self) -> "Packed":
        """The same numbers in float64, for the reference."""
        return Packed(*(value.double() for value in self[:4]), self.packed_info)


def pack(counts: list[int] | Tensor) -> Tensor:
    """The packed_info of rays with these counts."""
    counts = torch.as_tensor(counts, dtype=torch.int32)
    return torch.stack([counts.cumsum(0, dtype=torch.int32) - counts, counts], dim=-1)


def random_packed(generator: torch.Generator, counts: list[int], *, optical_depth: float = 3.0) -> Packed:
    """Ascending intervals with gaps, and sigmas over many decades that give each ray about that optical depth."""
    n_samples = sum(counts)
    rand = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    t_starts, t_ends = [torch.zeros(0)], [torch.zeros(0)]
    for count in counts:
        edges = 0.5 + (rand(2 * count) + 0.05).cumsum(0) / 10
        t_starts.append(edges[0::2])
        t_ends.append(edges[1::2])
    length = torch.repeat_interleave(
        torch.tensor([max(c, 1) for c in counts], dtype=torch.float32), torch.tensor(counts)
    )
    sigmas = optical_depth / length / 0.055 * torch.exp(3 * (rand(n_samples) - 0.6)) if n_samples else rand(0)
    return Packed(sigmas, rand(n_samples, 3), torch.cat(t_starts), torch.cat(t_ends), pack(counts))


LN2 = math.log(2.0)
