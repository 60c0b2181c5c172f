from pathlib import Path

import pytest

from nerf_plugins.errors import InputError
from nerf_plugins.images.pairing import in_natural_order, numbers_of, order_by_number, orders_differ, pair_by_name


def files(folder: str, *names: str) -> list[Path]:
    return [Path(folder) / name for name in names]


def test_natural_order():
    names = files("a", "r_10.png", "r_2.png", "r_1.png", "s.png")
    assert [p.name for p in in_natural_order(names)] == ["r_1.png", "r_2.png", "r_10.png", "s.png"]
    assert orders_differ(names)
    assert not orders_differ(files("a", "r_02.png", "r_10.png"))


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["000.png", "001.png", "010.png"], [0, 1, 10]),
        (["cam2_7.png", "cam2_9.png"], [7, 9]),
        (["img7.png"], [7]),
        (["1_1.png", "2_2.png"], None),
        (["a.png", "b.png"], None),
        (["a1.png", "b2.png"], None),
        (["01.png", "1.png"], None),
    ],
)
def test_the_number_in_which_names_differ(names: list[str], numbers: list[int] | None):
    assert numbers_of(files("a", *names)) == numbers


def test_cameras_numbers():
    told = order_by_number(files("a", *(f"{k}.png" for k in (0, 1, 10, 11, *range(2, 10)))), 12)
    assert [p.name for p in told.images] == [f"{k}.png" for k in range(12)]
    assert told.is_told
    untold = order_by_number(files("a", "10.png", "9.png", "8.png"), 3)
    assert [p.name for p in untold.images] == ["8.png", "9.png", "10.png"]
    assert not untold.is_told


@pytest.mark.parametrize(
    ("images", "others", "wanted"),
    [
        (["000.png", "001.png"], ["001.png", "000.png"], ["000.png", "001.png"]),
        (["000002.png", "000010.png"], ["10.png", "2.png"], ["2.png", "10.png"]),
        (["a.jpg", "b.jpg"], ["b_mask.png", "a_mask.png"], ["a_mask.png", "b_mask.png"]),
        (["a.jpg", "b.jpg"], ["b.jpg.png", "a.jpg.png"], ["a.jpg.png", "b.jpg.png"]),
        (["left.jpg", "right.jpg"], ["mask-right.png", "mask-left.png"], ["mask-left.png", "mask-right.png"]),
        (["IMG_1.JPG", "IMG_2.JPG"], ["img_2.png", "img_1.png"], ["img_1.png", "img_2.png"]),
        (["1.png", "11.png"], ["m11.png", "m1.png"], ["m1.png", "m11.png"]),
        (["e\u0301te\u0301.png", "a.png"], ["a.png", "\u00e9t\u00e9.png"], ["\u00e9t\u00e9.png", "a.png"]),
        (["1.png"], ["1.png", "2.png"], ["1.png"]),
    ],
    ids=["stem", "number", "after", "whole name", "before", "case", "part of another", "composed letters", "more"],
)  # fmt: skip
def test_pairs(images: list[str], others: list[str], wanted: list[str]):
    paired = pair_by_name(files("image", *images), files("mask", *others), "mask")
    assert paired == files("mask", *wanted)


def test_names_that_do_not_tell():
    assert pair_by_name(files("image", "a.png", "b.png"), files("mask", "x.png", "y.png"), "mask") is None


def test_an_image_without_its_mask_is_named():
    images = files("image", *(f"{k:03d}.png" for k in range(5)))
    with pytest.raises(InputError, match=r"003\.png: has no mask in mask, and 009\.png no image"):
        pair_by_name(images, files("mask", "000.png", "001.png", "002.png", "009.png", "004.png"), "mask")
