"""Pixels drawn where the photos have detail."""

from __future__ import annotations

import pytest
import torch

from nerf_plugins.data.detail import around, choose_detailed, local_detail
from nerf_plugins.data.pixel_sampler import CentreCropPixelSampler, CentreCropPixelSamplerConfig
from nerf_plugins.errors import InputError


def half_plain(n: int = 2, side: int = 32, channels: int = 3) -> torch.Tensor:
    """Pictures that are grey on the left and a checkerboard of single pixels, columns of two, on the right."""
    columns = torch.arange(side)
    board = ((columns[None, :] // 2 + torch.arange(side)[:, None]) % 2).float()
    picture = torch.where(columns < side // 2, 0.5, board)
    return picture[None, :, :, None].repeat(n, 1, 1, channels)


def sampler(share: float, count: int = 400) -> CentreCropPixelSampler:
    made = CentreCropPixelSampler(
        CentreCropPixelSamplerConfig(num_rays_per_batch=count, crop_steps=0, detail_share=share)
    )
    made.step = 0
    return made


def right_share(batch: dict, side: int = 32) -> float:
    """How many of the pixels lie in the half with detail."""
    return float((batch["indices"][:, 2] >= side // 2).float().mean())


def batch_of(images: torch.Tensor, **others: torch.Tensor) -> dict:
    return {"image": images, "image_idx": torch.arange(len(images)) + 5, **others}


def test_detail_of_a_neighbourhood_is_its_standard_deviation() -> None:
    colors = torch.zeros(1, 9, 3)
    colors[0, :4, 0] = 0.9  # variance 0.9^2 * 4/9 * 5/9 = 0.2, of one channel
    assert local_detail(colors).item() == pytest.approx(0.2**0.5 + 1e-3, rel=1e-5)
    assert local_detail((255 * colors).round().to(torch.uint8)).item() == pytest.approx(0.2**0.5 + 1e-3, rel=5e-3)


def test_what_is_transparent_has_no_detail_whatever_its_colour() -> None:
    clear = torch.cat([torch.rand(1, 9, 3), torch.zeros(1, 9, 1)], dim=-1)
    assert local_detail(clear).item() == pytest.approx(1e-3)
    edge = torch.zeros(1, 9, 4)
    edge[0, 3:, 3] = 1.0  # black, 3 of 9 behind it: only alpha varies, 1/3 * 2/3, and the middle one is opaque
    assert local_detail(edge).item() == pytest.approx((2.0 / 9.0) ** 0.5 + 1e-3, rel=1e-5)
    edge[0, :3, :3] = torch.rand(3, 3)  # the colours of what is not there
    assert local_detail(edge).item() == pytest.approx((2.0 / 9.0) ** 0.5 + 1e-3, rel=1e-5)
    edge[0, 4, 3] = 0.0  # the middle one is not there itself
    assert local_detail(edge).item() == pytest.approx(1e-3)


def test_neighbours_stay_on_the_image() -> None:
    rows, columns = around(torch.tensor([0, 5]), torch.tensor([6, 3]), height=6, width=7)
    assert rows.tolist() == [[0, 0, 0, 0, 0, 0, 2, 2, 2], [3, 3, 3, 5, 5, 5, 5, 5, 5]]
    assert columns.tolist() == [[4, 6, 6] * 3, [1, 3, 5] * 3]


def test_candidates_are_taken_as_often_as_they_have_detail() -> None:
    torch.manual_seed(0)
    detail = torch.tensor([1.0, 3.0, 0.0, 6.0])
    taken = choose_detailed(detail, 1000, share=1.0)
    assert torch.bincount(taken, minlength=4).tolist() == pytest.approx([100, 300, 0, 600], abs=1)
    half = torch.bincount(choose_detailed(detail, 1000, share=0.5), minlength=4)
    assert half.tolist() == pytest.approx([125 + 50, 125 + 150, 125, 125 + 300], abs=2)
    assert choose_detailed(torch.full((8,), 1e-3), 4, share=0.5).max() < 8


@pytest.mark.parametrize("kind", ["plain", "uint8", "mask", "list"])
def test_a_share_of_the_pixels_goes_where_the_detail_is(kind: str) -> None:
    torch.manual_seed(1)
    images = half_plain()
    if kind == "uint8":
        images = (255 * images).to(torch.uint8)
    shares = {}
    for share in (0.0, 0.5, 1.0):
        made = sampler(share)
        if kind == "list":
            listed = batch_of(images) | {"image": [images[0], images[1][:20]]}
            drawn = made.collate_image_dataset_batch_list(listed, 400)
        elif kind == "mask":
            mask = torch.ones(2, 32, 32, 1, dtype=torch.bool)
            mask[:, :8] = False
            drawn = made.collate_image_dataset_batch(batch_of(images, mask=mask), 400)
            assert (drawn["indices"][:, 1] >= 8).all()
        else:
            drawn = made.collate_image_dataset_batch(batch_of(images), 400)
        image, row, column = drawn["indices"].unbind(-1)
        assert len(drawn["image"]) == 400
        assert (drawn["image"] == images[image - 5, row, column]).all()
        shares[share] = right_share(drawn)
    assert shares[0.0] == pytest.approx(0.5, abs=0.1)
    assert shares[0.5] == pytest.approx(0.75, abs=0.1)
    assert shares[1.0] > 0.88  # two columns of the plain half see the board


def test_detail_is_that_of_the_pixels_own_photo() -> None:
    images = half_plain()
    images[0] = 0.5
    drawn = sampler(1.0).collate_image_dataset_batch(batch_of(images), 400)
    assert (drawn["indices"][:, 0] == 6).float().mean() > 0.9


def test_evaluation_draws_all_pixels_alike() -> None:
    made = sampler(1.0)
    made.step = None
    drawn = made.collate_image_dataset_batch(batch_of(half_plain()), 400)
    assert right_share(drawn) == pytest.approx(0.5, abs=0.1)


def test_panoramas_are_drawn_as_nerfstudio_does() -> None:
    mask = torch.ones(2, 32, 32, 1, dtype=torch.bool)
    for others in ({}, {"mask": mask}):
        made = sampler(1.0)
        made.config.is_equirectangular = True
        drawn = made.collate_image_dataset_batch(batch_of(half_plain(), **others), 400)
        assert right_share(drawn) == pytest.approx(0.5, abs=0.1)


def test_photos_of_one_colour_are_drawn_from_evenly() -> None:
    made = sampler(1.0, count=2000)
    drawn = made.collate_image_dataset_batch(batch_of(torch.full((2, 16, 16, 3), 0.3)), 2000)
    counts = torch.bincount(drawn["indices"][:, 1], minlength=16)
    assert counts.min() > 60
    assert counts.max() < 200


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"detail_share must be in \[0, 1\], got 1\.5"):
        CentreCropPixelSamplerConfig(detail_share=1.5)
