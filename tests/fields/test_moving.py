"""The field of scenes that move: planes with the time, and a table without."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import Dataset
from nerf_plugins.fields.encodings import HashEncodingConfig, KPlanesEncodingConfig
from nerf_plugins.fields.moving import MovingField, MovingFieldConfig
from nerf_plugins.rays import Points

PLANES = KPlanesEncodingConfig(n_features=8, start_resolution=8, resolution=16, time_resolution=5)
TABLE = HashEncodingConfig(n_levels=4, max_resolution=32, log2_table_size=10)
TIMES = Dataset(n_images=2, times=torch.tensor([0.0, 1.0]))


def make(dataset: Dataset = TIMES, **options) -> MovingField:
    torch.manual_seed(0)
    return MovingFieldConfig(encoding=PLANES, table=TABLE, width=32, precision="fp32", **options).setup(dataset=dataset)


def points(time: float, n: int = 64) -> Points:
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(n, 3, generator=generator) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    return Points(positions, directions=directions, times=torch.full((n,), time))


def densities(field: MovingField) -> list[torch.Tensor]:
    with torch.no_grad():
        return [field.density(points(time)) for time in (0.0, 1.0)]


def test_ranges_and_that_the_density_is_one():
    field = make()
    sigmas, rgbs = field(points(0.3))
    assert (sigmas > 0).all()
    assert ((rgbs > 0) & (rgbs < 1)).all()
    torch.testing.assert_close(sigmas, field.density(points(0.3)))


def test_the_table_is_there_at_all_times_and_planes_at_theirs():
    field = make()
    at_start = densities(field)
    torch.testing.assert_close(*at_start)
    with torch.no_grad():
        next(field.table.parameters()).normal_()
    with_table = densities(field)
    torch.testing.assert_close(*with_table)
    assert ((with_table[0] - at_start[0]).abs() > 1e-3).any()
    with torch.no_grad():
        field.encoding.planes_of_time[0][:, :, -1] = 3.0
    moved = densities(field)
    torch.testing.assert_close(moved[0], with_table[0])
    assert not torch.allclose(moved[1], with_table[1], rtol=1e-4)


def test_both_learn_and_the_colours_see_both():
    field = make()
    sigmas, rgbs = field(points(0.3))
    (sigmas.sum() + rgbs.sum()).backward()
    for table in (*field.table.parameters(), *field.encoding.parameters()):
        assert table.grad is not None
        assert table.grad.abs().sum() > 0
    assert field.color_width == 15 + 8 + 16 + 16  # features, four levels of two, two scales of eight, harmonics


def test_photos_of_one_time_are_refused():
    with pytest.raises(InputError, match=r"all 2 photos have the time 0\.5"):
        make(Dataset(n_images=2, times=torch.full((2,), 0.5)))


def test_planes_do_not_know_the_size_of_cones():
    with pytest.raises(InputError, match="KPlanesEncoding does not know the size"):
        MovingFieldConfig(encoding=PLANES, cones=True, precision="fp32").setup(dataset=TIMES)
