"""The training loop."""

import pytest
import torch

from nerf_plugins.image_fitting.command import growing_steps
from nerf_plugins.image_fitting.field import picture_hash, picture_mlp
from nerf_plugins.image_fitting.fitting import fit_picture, picture_of
from nerf_plugins.image_fitting.options import PictureHashOptions, PictureMLPOptions
from nerf_plugins.image_fitting.pictures import demo_picture

SMALL = PictureMLPOptions(frequencies=2, layers=1, width=16)


def test_the_first_loss_is_the_error_before_training():
    torch.manual_seed(0)
    field, target = picture_mlp(SMALL), torch.tensor([[[0.1, 0.5, 0.9]]])
    before = picture_of(field, 1, 1)
    fit = fit_picture(field, target, steps=3, snapshot_steps=[0, 3], lr=1e-2, pixels_per_step=5)
    assert len(fit.losses) == 3
    assert float(fit.losses[0]) == pytest.approx(float(((before - target) ** 2).mean()), rel=1e-2)
    torch.testing.assert_close(fit.snapshots[0].picture, before)
    torch.testing.assert_close(fit.snapshots[-1].picture, picture_of(field, 1, 1))


def test_snapshots_are_of_the_wanted_steps_and_their_psnr_is_right():
    torch.manual_seed(0)
    target, told = torch.rand(6, 9, 3), []
    fit = fit_picture(
        picture_mlp(SMALL),
        target,
        steps=5,
        snapshot_steps=[0, 2, 5],
        lr=1e-2,
        on_step=lambda step, snapshot: told.append((step, snapshot.step)),
    )
    assert [x.step for x in fit.snapshots] == [0, 2, 5]
    assert told == [(0, 0), (1, 0), (2, 2), (3, 2), (4, 2), (5, 5)]
    assert fit.snapshots[0].seconds <= fit.snapshots[1].seconds <= fit.snapshots[2].seconds
    for x in fit.snapshots:
        assert x.picture.shape == (6, 9, 3)
        assert x.psnr == pytest.approx(float(-10 * ((x.picture - target) ** 2).mean().log10()), abs=1e-3)


def test_the_picture_is_the_right_way_round():
    target = torch.zeros(8, 16, 3)
    target[:4, :, 0], target[:, :8, 1] = 1.0, 1.0  # red at the top, green at the left
    torch.manual_seed(0)
    fit = fit_picture(picture_mlp(SMALL), target, steps=150, snapshot_steps=[150], lr=2e-2, pixels_per_step=128)
    picture = fit.snapshots[0].picture
    assert picture[0, -1, 0] > 0.8 > 0.2 > picture[0, -1, 1]
    assert picture[-1, 0, 1] > 0.8 > 0.2 > picture[-1, 0, 0]


def test_octaves_and_the_hash_table_learn_what_bare_coordinates_cannot():
    target, psnrs = demo_picture(32), {}
    fields = {
        "bare": lambda: picture_mlp(PictureMLPOptions(frequencies=0)),
        "octaves": lambda: picture_mlp(PictureMLPOptions(frequencies=4)),
        "hash": lambda: picture_hash(PictureHashOptions(), 32),
    }
    for name, make in fields.items():
        torch.manual_seed(0)
        fit = fit_picture(make(), target, steps=150, snapshot_steps=[150], lr=5e-3, pixels_per_step=1024)
        psnrs[name] = fit.snapshots[0].psnr
    assert psnrs["bare"] + 2.0 < min(psnrs["octaves"], psnrs["hash"])


def test_a_seed_repeats_a_fit():
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        fit = fit_picture(picture_mlp(SMALL), demo_picture(16), steps=4, snapshot_steps=[4], lr=1e-2)
        losses.append(fit.losses.tolist())
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    ("steps", "count", "expected"),
    [(1000, 8, [0, 10, 22, 46, 100, 215, 464, 1000]), (1, 8, [0, 1]), (3, 8, [0, 1, 2, 3]), (50, 2, [0, 50])],
)
def test_steps_between_pictures_grow_evenly(steps, count, expected):
    assert growing_steps(steps, count) == expected
