"""K-Planes' field."""

import pytest
import torch

from nerf_plugins.errors import InputError
from nerf_plugins.fields.base import NO_DATASET, Dataset
from nerf_plugins.fields.encodings import KPlanesEncodingConfig
from nerf_plugins.fields.k_planes import KPlanes, KPlanesConfig
from nerf_plugins.rays import Points

ENCODING = KPlanesEncodingConfig(n_features=8, start_resolution=8, resolution=16, time_resolution=5)
TIMES = Dataset(n_images=2, times=torch.tensor([0.0, 1.0]))


def make(dataset: Dataset, **options) -> KPlanes:
    torch.manual_seed(0)
    return KPlanesConfig(encoding=ENCODING, width=32, precision="fp32", **options).setup(dataset=dataset)


def points(time: float | None = None, n: int = 64) -> Points:
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(n, 3, generator=generator) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    return Points(positions, directions=directions, times=None if time is None else torch.full((n,), time))


def test_photos_with_times_make_it_move():
    still, moving = make(NO_DATASET), make(TIMES)
    assert not still.needs
    assert moving.needs == {"times"}
    assert not still.encoding.planes_of_time
    assert still.encoding.width == moving.encoding.width


def test_photos_of_one_time_make_it_stand_still():
    field = make(Dataset(n_images=3, times=torch.full((3,), 0.5)))
    assert not field.needs
    assert not field.encoding.planes_of_time
    torch.testing.assert_close(field.density(points(0.5)), make(NO_DATASET).density(points()))


def test_ranges_and_that_the_density_is_one():
    for field, where in ((make(NO_DATASET), points()), (make(TIMES), points(0.3))):
        sigmas, rgbs = field(where)
        assert sigmas.shape == (64,)
        assert (sigmas > 0).all()
        assert ((rgbs > 0) & (rgbs < 1)).all()
        torch.testing.assert_close(sigmas, field.density(where))


def test_a_plane_of_time_moves_what_is_at_its_time():
    field = make(TIMES)
    with torch.no_grad():
        before = [field.density(points(time)) for time in (0.0, 1.0)]
        torch.testing.assert_close(*before)
        field.encoding.planes_of_time[0][:, :, -1] = 3.0
        after = [field.density(points(time)) for time in (0.0, 1.0)]
    torch.testing.assert_close(after[0], before[0])
    assert ((after[1] - before[1]).abs() > 1e-3).any()


def test_times_belong_to_rays():
    field, where = make(TIMES), points(0.0)
    with torch.no_grad():
        field.encoding.planes_of_time[0].normal_()
    indices = torch.arange(64) // 32
    of_rays = where._replace(ray_indices=indices, times=torch.tensor([0.0, 1.0]), directions=where.directions[:2])
    expected = torch.cat(
        [field.density(points(time).part(part)) for time, part in ((0.0, slice(32)), (1.0, slice(32, 64)))]
    )
    torch.testing.assert_close(field.density(of_rays), expected)


def test_losses_by_hand():
    field = make(TIMES, tv_mult=2.0, roughness_mult=3.0, motion_mult=5.0)
    with torch.no_grad():
        for planes in field.encoding.planes_of_space:
            planes.fill_(0.5)
        for planes in field.encoding.planes_of_time:
            planes[:, :, 2] = 3.0  # of three second differences along the time: 2, -4, 2
    losses = {name: float(loss.detach()) for name, loss in field.losses(points(0.0), torch.ones(64)).items()}
    assert losses == pytest.approx({"tv": 0.0, "roughness": 3 * 2 * (4 + 16 + 4) / 3, "motion": 5 * 2 * 2 / 5})
    assert set(make(NO_DATASET).losses(points(), torch.ones(64))) == {"tv"}


@pytest.mark.parametrize("name", ["tv_mult", "roughness_mult", "motion_mult"])
def test_options_are_checked(name):
    with pytest.raises(InputError, match=f"field: {name} must be >= 0, got -1"):
        KPlanesConfig(**{name: -1.0})
