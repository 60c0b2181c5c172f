from typing import Any

import pytest
import torch

from nerf_plugins.data.looks import look_name, photo_weights
from nerf_plugins.errors import InputError

NAMES = ["images/r_1.png", "images/r_2.png", "others/r_2.png", "images/r_3.png"]


def test_shares_add_up_to_one_and_names_may_be_short():
    assert photo_weights({"r_1": 3, "images/r_2.png": 1}, NAMES, "x").tolist() == [0.75, 0.25, 0.0, 0.0]


def test_the_mean_is_a_look_too():
    assert photo_weights({"mean": 1.0}, NAMES, "x").tolist() == [0.25] * 4
    torch.testing.assert_close(
        photo_weights({"mean": 0.5, "r_3": 0.5}, NAMES, "x"), torch.tensor([0.125, 0.125, 0.125, 0.625])
    )
    assert look_name("mean", NAMES, "x") == "mean"


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"r_9": 1.0}, "--style: no training photo is called 'r_9'"),
        ({"r_2": 1.0}, "--style: 'r_2' means 2 images"),
        ({"r_1": 0.0}, "give each photo a share, 0 or more, and one of them more than 0"),
        ({"r_1": -1.0, "r_3": 2.0}, "give each photo a share"),
        ({"r_1": float("nan")}, "give each photo a share"),
        ({"r_1": 1e308, "r_3": 1e308}, "give each photo a share"),  # their sum is infinite
        ({"r_1": "0.5"}, "give each photo a share"),
        ("r_1", r'--style: r_1: write shares by name, \{"images/train_001.png": 0.25, ...\}'),
        (["r_1", "r_3"], "write shares by name"),
    ],
)
def test_bad_looks_are_named(shares: Any, message: str):
    with pytest.raises(InputError, match=message):
        photo_weights(shares, NAMES, "--style")
