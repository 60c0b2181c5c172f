import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.samplers.occupancy_grid import OccupancyGrid, OccupancyGridConfig

AABB = torch.tensor([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]])
STEP = 0.1


def make_grid(levels: int = 1, **options) -> OccupancyGrid:
    config = OccupancyGridConfig(**{"resolution": 8, "warmup_steps": 64, "update_every": 16, **options})
    return OccupancyGrid(config, AABB, levels)


def right_half(positions: torch.Tensor) -> torch.Tensor:
    """Dense where x > 0."""
    return torch.where(positions[:, 0] > 0, 50.0, 0.0)


def train(grid: OccupancyGrid, density_fn, first: int = 0, last: int = 64) -> None:
    for step in range(first, last):
        grid.update(step, density_fn, STEP)


def test_everything_is_occupied_during_warmup():
    grid = make_grid()
    train(grid, lambda p: torch.zeros(len(p)), last=48)
    assert grid.occupied.all()


def test_warmup_visits_every_cell_exactly_once():
    grid, visited = make_grid(levels=2), []

    def density_fn(positions: torch.Tensor) -> torch.Tensor:
        visited.append(positions)
        return torch.ones(len(positions))

    train(grid, density_fn)
    assert sum(len(p) for p in visited) == grid.densities.numel()
    assert (grid.densities == 1.0).all()


@pytest.mark.parametrize(("resolution", "update_every", "warmup_steps"), [(3, 16, 128), (8, 1, 500), (2, 1, 20)])
def test_a_warmup_of_many_slices_visits_every_cell(resolution: int, update_every: int, warmup_steps: int):
    grid = make_grid(resolution=resolution, update_every=update_every, warmup_steps=warmup_steps)
    train(grid, lambda p: torch.ones(len(p)), last=warmup_steps)
    assert (grid.densities == 1.0).all()


def test_positions_lie_in_their_cells():
    grid = make_grid(levels=3)
    cells = torch.arange(grid.densities.numel())
    positions = grid._positions_in(cells)
    for level in range(3):
        scaled = positions.view(3, -1, 3)[level] / (AABB[1] * 2**level)
        index = ((scaled + 1) / 2 * 8).floor().long()
        flat = index[:, 0] * 64 + index[:, 1] * 8 + index[:, 2]
        assert (flat == torch.arange(512)).float().mean() > 0.999  # a point drawn on a face may round


def test_after_warmup_exactly_the_dense_half_is_occupied():
    grid = make_grid()
    train(grid, right_half)
    assert grid.occupied[0, 4:].all()
    assert not grid.occupied[0, :4].any()
    assert float(grid.fraction_occupied) == 0.5


def test_a_pruned_cell_revives():
    torch.manual_seed(0)
    grid = make_grid(cells_per_update=512)
    train(grid, right_half)
    train(grid, lambda p: 50.0 * torch.ones(len(p)), first=64, last=64 + 16 * 20)
    assert grid.occupied.float().mean() > 0.99


def test_a_cell_that_became_empty_is_forgotten():
    torch.manual_seed(0)
    grid = make_grid(cells_per_update=512, decay=0.5)
    train(grid, right_half)
    train(grid, lambda p: torch.where(p[:, 1] > 0, 50.0, 0.0), first=64, last=64 + 16 * 60)
    assert not grid.occupied[0, :, :4].any()
    assert grid.occupied[0, :, 4:].float().mean() > 0.95


def test_a_field_that_is_zero_everywhere_does_not_empty_the_grid():
    grid = make_grid()
    train(grid, lambda p: torch.zeros(len(p)), last=200)
    assert grid.occupied.all()  # as dense as the mean: rays keep finding samples, so the field can recover


@pytest.mark.parametrize("density", [0.39448437094688416, 0.38657110929489136])
def test_a_field_that_is_the_same_everywhere_does_not_empty_the_grid(density: float):
    """In float32 the mean of 16^3 of these is larger than each of them."""
    grid = make_grid(resolution=16)
    assert float(torch.full_like(grid.densities, density).mean()) > torch.tensor(density)
    train(grid, lambda positions: torch.full_like(positions[:, 0], density))
    assert grid.occupied_above(0.9, STEP).all()


def test_survives_an_emptied_grid():
    grid = make_grid()
    train(grid, right_half)
    grid.occupied.zero_()
    train(grid, right_half, first=64, last=81)
    assert grid.occupied[0, 4:].all()


@pytest.mark.parametrize(("opacity", "occupied"), [(0.3, True), (0.34, False)])
def test_threshold_is_the_opacity_of_a_step(opacity: float, occupied: bool):
    grid = make_grid()
    grid.densities.fill_(4.0)
    grid.densities[0, 0] = 40.0  # so that the mean is above the cells in question
    # 1 - exp(-4 * 0.1) = 0.3297
    assert bool(grid.occupied_above(opacity, STEP)[0, 4, 4, 4]) is occupied


def test_state_is_saved_and_restored():
    grid, other = make_grid(), make_grid()
    train(grid, right_half)
    other.load_state_dict(grid.state_dict())
    assert torch.equal(other.occupied, grid.occupied)
    assert torch.equal(other.densities, grid.densities)


@pytest.mark.parametrize(
    ("name", "value"),
    [("resolution", 0), ("decay", 1.0), ("levels", 0), ("update_every", 0), ("opacity_threshold", 1.0)],
)
def test_bad_options_are_named(name: str, value: float):
    with pytest.raises(InputError, match=name):
        OccupancyGridConfig(**{name: value})


def test_empty_blocks_follow_the_occupied_cells():
    grid = make_grid()
    assert not grid.empty_blocks.any()
    grid.occupied.zero_()
    assert grid.empty_blocks.all()
    grid.load_state_dict(grid.state_dict() | {"occupied": torch.ones_like(grid.occupied)})
    assert not grid.empty_blocks.any()
