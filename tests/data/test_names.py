from pathlib import Path
from types import SimpleNamespace

import pytest

from nerf_plugins.data.names import dataset_folder, find_images, image_names, match_images, natural_order, whole_folder
from nerf_plugins.errors import InputError

PATHS = [Path("/d/train/r_10.png"), Path("/d/train/r_2.png"), Path("/d/test/r_2.png"), Path("/d/val/r_0.png")]


def test_numbers_in_paths_are_numbers():
    assert [PATHS[i].as_posix() for i in natural_order(PATHS)] == [
        "/d/test/r_2.png",
        "/d/train/r_2.png",
        "/d/train/r_10.png",
        "/d/val/r_0.png",
    ]


def test_names_are_within_the_folder_of_the_data():
    assert image_names([Path("/d/train/a.png"), Path("/e/b.png")], Path("/d")) == ["train/a.png", "/e/b.png"]


def test_the_folder_of_data_that_are_a_file(tmp_path: Path):
    file = tmp_path / "transforms.json"
    file.touch()
    for data, parsed in ((tmp_path, file.parent / "x"), (file, tmp_path / "x"), (None, tmp_path), (None, file)):
        assert dataset_folder(SimpleNamespace(data=data, dataparser=SimpleNamespace(data=parsed))) == tmp_path
    assert dataset_folder(SimpleNamespace(data=None, dataparser=SimpleNamespace(data=None))) == Path()


@pytest.mark.parametrize(
    ("entry", "index"),
    [
        ("r_10", 0),
        ("r_10.png", 0),
        ("train/r_2", 1),
        ("./train/r_2.png", 1),
        ("test\\r_2", 2),
        ("/d/val/r_0.png", 3),
        (0, 2),
        (3, 3),
    ],
)
def test_what_an_entry_may_be(entry: str | int, index: int):
    assert find_images([entry], PATHS, "list") == [index]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["r_2"], r"'r_2' means 2 images \(train/r_2\.png, test/r_2\.png\): write its folder"),
        (["r_11"], r"no image of the dataset is called 'r_11'; did you mean r_10\?"),
        (["2"], "no image of the dataset is called '2'"),
        (["_10"], "no image"),
        ([4], "there is no image 4: the dataset's 4 images count from 0"),
        ([-1], "there is no image -1"),
        (["r_10", 2], r"'r_10' and 2 are the same image \(/d/train/r_10\.png\)"),
    ],
)
def test_what_an_entry_may_not_be(entries: list[str | int], message: str):
    with pytest.raises(InputError, match=f"^list: .*{message}"):
        find_images(entries, PATHS, "list")


def test_images_are_found_again_in_another_order_and_number():
    assert match_images(["b/2.png", "b/9.png", "b/1.png"], ["b/1.png", "b/2.png"]) == [1, None, 0]


def test_images_of_another_resolution_are_found_by_their_only_name():
    assert match_images(["images_2/1.jpg", "images_2/3.jpg"], ["images_4/1.png", "images_4/2.png"]) == [0, None]


def test_a_name_that_several_images_have_finds_none():
    assert match_images(["x/1.png"], ["train/1.png", "test/1.png"]) == [None]
    assert match_images(["x/1.png", "y/1.png"], ["train/1.png"]) == [None, None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[
            ("images", ("images", 1)),
            ("images_4", ("images", 4)),
            ("my_photos_2", ("my_photos", 2)),
            ("images_3", ("images", 3)),
        ],
        *[
            ("scan_24", ("scan_24", 1)),
            ("photos_2024", ("photos_2024", 1)),
            ("images_1", ("images_1", 1)),
            ("_4", ("_4", 1)),
        ],
    ],
)
def test_folders_of_smaller_copies_are_told_by_their_factor(name: str, expected: tuple[str, int]):
    assert whole_folder(name) == expected
