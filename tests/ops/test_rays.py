"""Rays through lenses that bend; those of pinholes are compared with nerfstudio's in tests/data."""

import pytest
import torch

from nerf_plugins.ops import lens_rays, pinhole_rays

PHONE = [0.08, -0.12, 0.03, -0.01, 0.002, -0.0015]
"""k1, k2, k3, k4, p1, p2."""


def shown(u: torch.Tensor, v: torch.Tensor, lens: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the lens shows (u, v): OpenCV's model, term by term."""
    k1, k2, k3, k4, p1, p2 = lens
    r = u**2 + v**2
    radial = 1 + k1 * r + k2 * r**2 + k3 * r**3 + k4 * r**4
    return u * radial + 2 * p1 * u * v + p2 * (r + 2 * u**2), v * radial + p1 * (r + 2 * v**2) + 2 * p2 * u * v


def camera(focal: tuple[float, float], centre: tuple[float, float], lens: list[float]) -> tuple[torch.Tensor, ...]:
    """(table, lenses) of a camera at (1, 2, 3) that looks along -z."""
    (fx, fy), (cx, cy) = focal, centre
    table = torch.tensor([[[1 / fx, 0, 0], [0, -1 / fy, 0], [-cx / fx, cy / fy, -1], [1.0, 2.0, 3.0]]])
    return table, torch.tensor([[fx, fy, cx, cy, *lens]])


@pytest.mark.parametrize("lens", [PHONE, [-0.25, 0.07, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.01, 0.02]])
def test_the_lens_shows_a_rays_place_in_its_pixel(lens: list[float]):
    table, lenses = camera((520.0, 530.0), (321.5, 237.0), lens)
    row, column = torch.meshgrid(torch.arange(0, 480, 7), torch.arange(0, 640, 7), indexing="ij")
    pixels = torch.stack([torch.zeros_like(row), row, column], dim=-1).view(-1, 3)
    rays = lens_rays(pixels, table, lenses)
    places = rays.directions.double() * rays.norms.double()[:, None]
    torch.testing.assert_close(places[:, 2], -torch.ones(len(pixels), dtype=torch.float64), rtol=0, atol=1e-6)
    x, y = shown(places[:, 0], -places[:, 1], lens)
    assert (x * 520.0 + 321.5 - (pixels[:, 2] + 0.5)).abs().max() < 1e-3
    assert (y * 530.0 + 237.0 - (pixels[:, 1] + 0.5)).abs().max() < 1e-3
    assert (rays.origins == torch.tensor([1.0, 2.0, 3.0])).all()
    assert (rays.areas > 0).all()


def test_areas_are_of_the_pixels_beside():
    table, lenses = camera((520.0, 530.0), (321.5, 237.0), PHONE)
    middle, right, below = lens_rays(torch.tensor([[0, 40, 50], [0, 40, 51], [0, 41, 50]]), table, lenses).directions
    expected = (middle - right).norm() * (middle - below).norm()
    area = lens_rays(torch.tensor([[0, 40, 50]]), table, lenses).areas[0]
    torch.testing.assert_close(area, expected, rtol=1e-3, atol=0)


def test_a_lens_that_does_not_bend_is_a_pinhole():
    table, lenses = camera((52.0, 53.0), (32.5, 23.0), [0.0] * 6)
    pixels = torch.randint(0, 64, (100, 3)) * torch.tensor([0, 1, 1])
    for ours, plain in zip(lens_rays(pixels, table, lenses), pinhole_rays(pixels, table)):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=3e-7)


def test_where_the_lens_folds_the_picture_rays_are_finite():
    """Beyond r = 0.58 this lens shows again, mirrored, what it has shown before."""
    table, lenses = camera((50.0, 50.0), (50.0, 50.0), [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    pixels = torch.cartesian_prod(torch.tensor([0]), torch.arange(100), torch.arange(100))
    assert all(values.isfinite().all() for values in lens_rays(pixels, table, lenses))


def test_each_camera_has_a_lens_of_its_own():
    tables, lenses = zip(*(camera((52.0, 53.0), (32.5, 23.0), lens) for lens in (PHONE, [0.0] * 6)))
    table, lens = torch.cat(tables), torch.cat(lenses)
    pixels = torch.tensor([[0, 3, 4], [1, 3, 4]])
    together = lens_rays(pixels, table, lens).directions
    torch.testing.assert_close(together[1], pinhole_rays(pixels[1:], table).directions[0])
    torch.testing.assert_close(
        together[0], lens_rays(pixels[:1], *camera((52.0, 53.0), (32.5, 23.0), PHONE)).directions[0]
    )
    assert (together[0] - together[1]).norm() > 1e-3


@pytest.mark.usefixtures("without_type_checker")
def test_arguments_that_do_not_fit():
    table, lenses = camera((1.0, 1.0), (0.0, 0.0), [0.0] * 6)
    pixels = torch.zeros(1, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match="lenses"):
        lens_rays(pixels, table, lenses[:, :9])
    with pytest.raises(ValueError, match="lenses"):
        lens_rays(pixels, table, lenses.repeat(2, 1))
    with pytest.raises(TypeError, match="lenses"):
        lens_rays(pixels, table, lenses.double())
