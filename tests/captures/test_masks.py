"""Masks beside the photos."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerf_plugins.captures import masks
from nerf_plugins.captures.photos import Photo
from nerf_plugins.errors import InputError

PHOTO = Photo(Path("a.jpg"), "a.jpg", (40, 30), 1, None, (), True)
MASK = np.zeros((30, 40), dtype=bool)
MASK[5:, 10:] = True


def palette() -> Image.Image:
    image = Image.fromarray((~MASK).astype(np.uint8), "P")  # index 0 is white
    image.putpalette([255, 255, 255, 0, 0, 0])
    return image


STORED = {
    "L": Image.fromarray(MASK.astype(np.uint8) * 255),
    "0 and 1": Image.fromarray(MASK.astype(np.uint8)),
    "1 bit": Image.fromarray(MASK.astype(np.uint8) * 255).convert("1"),
    "RGB": Image.fromarray(MASK.astype(np.uint8) * 255).convert("RGB"),
    "16 bits": Image.fromarray(MASK.astype(np.uint16) * 65535),
    "alpha": Image.fromarray(np.dstack([np.full((30, 40, 3), 90, np.uint8), MASK.astype(np.uint8) * 255])),
    "palette, white first": palette(),
}


@pytest.mark.parametrize("kind", STORED)
def test_any_way_to_store_a_mask(tmp_path, kind):
    STORED[kind].save(tmp_path / "a.png")
    assert np.array_equal(masks.read_mask(tmp_path / "a.png", PHOTO), MASK)


def test_a_mask_of_the_stored_pixels_is_turned_as_its_photo(tmp_path):
    photo = Photo(Path("a.jpg"), "a.jpg", (40, 30), 6, None, (), False)  # stored 30 x 40, to be turned clockwise
    Image.fromarray(np.rot90(MASK).astype(np.uint8) * 255).save(tmp_path / "a.png")
    assert np.array_equal(masks.read_mask(tmp_path / "a.png", photo), MASK)


def test_a_mask_of_half_the_size_is_enlarged(tmp_path):
    Image.fromarray(MASK[::2, ::2].astype(np.uint8) * 255).save(tmp_path / "a.png")
    read = masks.read_mask(tmp_path / "a.png", PHOTO)
    assert read.shape == MASK.shape
    assert (read != MASK).mean() < 0.05


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((30, 40)), "the mask of a.jpg is all black"),
        (np.ones((30, 30)), "is 30 x 30 and its photo a.jpg 40 x 30"),
    ],
)
def test_masks_that_cannot_be(tmp_path, values, message):
    Image.fromarray(values.astype(np.uint8) * 255).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=message):
        masks.read_mask(tmp_path / "a.png", PHOTO)


@pytest.mark.parametrize("name", ["a.png", "a.jpg.png", "a_mask.png", "a.mask.jpg"])
def test_masks_are_found_by_name(tmp_path, name):
    for file in (name, "other.png"):
        (tmp_path / file).write_bytes(b"")
    assert masks.find_masks([PHOTO], tmp_path) == {"a.jpg": tmp_path / name}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["b.png", "b.jpg"], "no mask there is named as a photo .a.png for a.jpg.; .* or give --masks none"),
        (["a.png", "a_mask.png"], "has two masks in .*, a.png and a_mask.png; keep one of them"),
        (["a.png", "a.tif"], "has two masks in .*, a.png and a.tif; keep one of them, or give --masks none"),
    ],
)
def test_names_that_pair_nothing_or_twice_in_a_folder_given(tmp_path, names, message):
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=message):
        masks.choose_masks([PHOTO], tmp_path / "photos", tmp_path)
    with pytest.raises(InputError, match=r"--masks .*nowhere: is no folder"):
        masks.choose_masks([PHOTO], tmp_path / "photos", tmp_path / "nowhere")


def test_a_folder_that_is_found_in_the_photos_or_beside_them_is_named(tmp_path):
    photos = [PHOTO, replace(PHOTO, path=Path("b.jpg"), name="b.jpg")]
    assert masks.choose_masks(photos, tmp_path / "photos", "auto") == ({}, None)
    for folder in (tmp_path / "masks", tmp_path / "photos" / "masks"):
        folder.mkdir(parents=True)
        (folder / "a.png").touch()
        found = masks.choose_masks(photos, tmp_path / "photos", "auto")
        assert found.masks == {"a.jpg": folder / "a.png"}
        assert (
            found.note
            == f"{folder}: masks of 1 of 2 photos were found there and are used; --masks none leaves them out"
        )
        assert masks.choose_masks(photos, tmp_path / "photos", "none") == ({}, None)
        assert masks.choose_masks(photos, tmp_path / "photos", folder) == (found.masks, None)


def test_masks_of_another_capture_beside_the_photos_stop_nothing(tmp_path):
    (tmp_path / "masks").mkdir()
    for name in ("b.png", "b.jpg"):
        (tmp_path / "masks" / name).touch()
    found = masks.choose_masks([PHOTO], tmp_path / "roomA", "auto")
    assert found.masks == {}
    assert (
        found.note == f"{tmp_path / 'masks'}: no mask there is named as a photo (a.png for a.jpg); none of them is used"
    )


def test_a_shrunk_mask_keeps_no_mixed_pixel():
    mask = np.ones((5, 7), dtype=bool)
    mask[0, 0] = mask[3, 5] = False
    expected = np.array([[False, True, True], [True, True, False]])
    assert np.array_equal(masks.shrunk(mask, 2), expected)
