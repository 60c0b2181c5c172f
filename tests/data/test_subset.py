import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataParserConfig, DataparserOutputs, Semantics

from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.data.frames import join_frames, select_frames
from nerf_plugins.data.subset import SubsetConfig, choose, evaluation_images, read_split_file, training_images
from nerf_plugins.errors import InputError


def outputs_of(split: str, n: int, **more) -> DataparserOutputs:
    """``n`` views: everything of view i says its split and i."""
    offset = {"train": 0, "val": 100, "test": 200}[split]
    poses = torch.eye(4)[:3].repeat(n, 1, 1)
    number = torch.arange(n)[:, None] + offset
    poses[:, 0, 3] = number[:, 0].float()
    cameras = Cameras(
        poses,
        number.float(),
        2.0,
        3.0,
        4.0,
        8,
        6,
        distortion_params=number.float().expand(-1, 6).contiguous(),
        camera_type=CameraType.PERSPECTIVE,
        times=number.float(),
        metadata={"exposure": number.float()},
    )

    def files(kind: str) -> list[Path]:
        return [Path(f"/data/{split}/{kind}{i}.png") for i in range(n)]

    metadata = {"alpha_filenames": files("alpha"), "depth_unit": 0.5, "points3D_xyz": torch.zeros(n, 3)}
    metadata["semantics"] = Semantics(files("semantics"), ["chair"], torch.zeros(1, 3))
    metadata["numbers"] = [1.0] * n  # no list of the images
    made = DataparserOutputs(files("r_"), cameras, mask_filenames=files("mask"), metadata=metadata)
    return replace(made, **more)


class FakeDataparser(DataParser):
    """A dataset of 8 + 2 + 3 views, like Blender's: names repeat in the splits."""

    def __init__(self) -> None:
        super().__init__(DataParserConfig())

    def _generate_dataparser_outputs(self, split: str = "train", **kwargs: object) -> DataparserOutputs:
        return outputs_of(split, {"train": 8, "val": 2, "test": 3}[split])


def numbers(outputs: DataparserOutputs) -> list[int]:
    """The views' numbers; all that belongs to them must agree."""
    found = [int(x) for x in outputs.cameras.camera_to_worlds[:, 0, 3]]
    for values in (outputs.cameras.fx, outputs.cameras.times, outputs.cameras.metadata["exposure"]):
        assert values.flatten().tolist() == found
    assert outputs.cameras.distortion_params[:, 5].tolist() == found

    def read(files: list[Path]) -> list[int]:
        offset = {"train": 0, "val": 100, "test": 200}
        return [offset[file.parent.name] + int(file.stem.lstrip("r_alphsemntick")) for file in files]

    lists = [outputs.image_filenames, outputs.mask_filenames, outputs.metadata["alpha_filenames"]]
    for files in [*lists, outputs.metadata["semantics"].filenames]:
        assert read(files) == found
    return found


def test_all_that_belongs_to_an_image_goes_with_it():
    chosen = select_frames(outputs_of("train", 5), [4, 0, 1])
    assert numbers(chosen) == [4, 0, 1]
    assert chosen.cameras.width.flatten().tolist() == [8, 8, 8]


def test_what_belongs_to_the_dataset_stays():
    whole = outputs_of("train", 3, dataparser_scale=2.0)
    chosen = select_frames(whole, [0])
    assert chosen.dataparser_scale == 2.0
    assert chosen.metadata["depth_unit"] == 0.5
    assert chosen.metadata["numbers"] == [1.0] * 3
    assert len(chosen.metadata["points3D_xyz"]) == 3
    assert len(whole.image_filenames) == len(whole.metadata["alpha_filenames"]) == 3


def test_splits_join_with_each_image_once():
    held_out = outputs_of("test", 2)
    joined = join_frames([outputs_of("train", 2), held_out, held_out])
    assert numbers(joined) == [0, 1, 200, 201]


@pytest.mark.parametrize("other", [{"dataparser_scale": 2.0}, {"dataparser_transform": 2.0 * torch.eye(4)[:3]}])
def test_splits_in_other_frames_cannot_be_joined(other: dict):
    with pytest.raises(InputError, match="moves or scales the world differently in each split"):
        join_frames([outputs_of("train", 2), outputs_of("test", 2, **other)])


def test_splits_of_which_some_have_no_masks_cannot_be_joined():
    with pytest.raises(InputError, match="only some of the dataset's splits have masks"):
        join_frames([outputs_of("train", 2), outputs_of("test", 2, mask_filenames=None)])


@pytest.mark.parametrize(
    ("n_there", "n", "wanted"),
    [
        (10, 2, [0, 9]),
        (10, 4, [0, 3, 6, 9]),
        (10, 3, [0, 5, 9]),
        (8, 7, [0, 1, 2, 4, 5, 6, 7]),
        (5, 5, [0, 1, 2, 3, 4]),
    ],
)
def test_evenly_by_hand(n_there: int, n: int, wanted: list[int]):
    assert choose(n_there, n, "even") == wanted


def test_even_choices_are_as_even_as_can_be():
    for n_there in range(2, 40):
        for n in range(2, n_there + 1):
            chosen = choose(n_there, n, "even")
            gaps = [b - a for a, b in pairwise(chosen)]
            assert (chosen[0], chosen[-1], len(chosen)) == (0, n_there - 1, n)
            assert max(gaps) - min(gaps) <= 1


def test_random_choices():
    chosen = choose(50, 10, "random", seed=1)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 10
    assert (chosen[0], chosen[-1]) == (0, 49)
    assert chosen == choose(50, 10, "random", seed=1) != choose(50, 10, "random", seed=2)
    assert set(chosen) < set(choose(50, 11, "random", seed=1))


def test_the_first_ones():
    assert choose(10, 3, "first") == [0, 1, 2]


@pytest.mark.parametrize(("n", "message"), [(9, "there are only 8 training images"), (1, "at least two views")])
def test_impossible_numbers(n: int, message: str):
    config = SubsetConfig(n_images=n)
    with pytest.raises(InputError, match=f"n_images {n}: .*{message}"):
        training_images(config, FakeDataparser(), outputs_of("train", 8))


def choice(**options) -> tuple[list[int], list[int]]:
    """The numbers of the views to train on and to evaluate on."""
    config, parser, train = SubsetConfig(**options), FakeDataparser(), outputs_of("train", 8)
    held_out = [evaluation_images(config, parser, train, split) for split in ("val", "test")]
    if config.split_file is not None and read_split_file(config.split_file).test is not None:
        assert numbers(held_out[0]) == numbers(held_out[1])
    return numbers(training_images(config, parser, train)), numbers(held_out[1])


def write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "split_indices.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_whole_dataset_by_default():
    assert choice() == ([*range(8)], [200, 201, 202])


def test_a_number_of_images_leaves_the_evaluation_alone():
    assert choice(n_images=3) == ([0, 4, 7], [200, 201, 202])


def test_lists_draw_from_all_splits_in_their_order(tmp_path: Path):
    path = write(tmp_path, {"train": ["test/r_1", "train/r_3.png", "val/r_0"], "test": ["train/r_0"]})
    assert choice(split_file=path) == ([201, 3, 100], [0])


def test_numbers_count_all_images_by_their_paths(tmp_path: Path):
    path = write(tmp_path, {"train": [0, 3], "test": [12]})  # 3 of test, 8 of train, 2 of val
    assert choice(split_file=path) == ([200, 0], [101])


def test_a_list_left_out_is_the_datasets_own(tmp_path: Path):
    assert choice(split_file=write(tmp_path, {"train": [3, 4, 5]})) == ([0, 1, 2], [200, 201, 202])
    assert choice(split_file=write(tmp_path, {"test": [3]})) == ([*range(8)], [0])


def test_a_number_of_the_listed_images(tmp_path: Path):
    path = write(tmp_path, {"train": [10, 9, 8, 7]})
    assert choice(split_file=path, n_images=2, choice="first")[0] == [7, 6]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ([1, 2], 'must have the lists "train", "test" or both and nothing else, has: list'),
        ({"train": [1], "tset": [2]}, "has: train, tset"),
        ({}, "must have the lists"),
        ({"train": []}, '"train" must be a list with at least one image'),
        ({"test": "r_0"}, '"test" must be a list'),
        ({"train": [1.5]}, '"train" lists 1.5: images are names or whole numbers'),
        ({"train": [True]}, '"train" lists True'),
        ({"train": [0, 99]}, r'split_indices\.json, "train": there is no image 99: the dataset\'s 13 images'),
        ({"train": [0, 1], "test": ["train/r_77"]}, r'"test": no image of the dataset is called \'train/r_77\''),
    ],
)
def test_bad_lists(tmp_path: Path, content: object, message: str):
    with pytest.raises(InputError, match=message):
        choice(split_file=write(tmp_path, content))


def test_a_missing_list(tmp_path: Path):
    with pytest.raises(InputError, match=r"nothing\.json: cannot be read \(No such file"):
        choice(split_file=tmp_path / "nothing.json")


def test_a_configuration_remembers_the_choice_and_one_without_it_still_loads():
    config = NerfDataManagerConfig(subset=SubsetConfig(n_images=5, choice="random", seed=3))
    assert yaml.load(yaml.dump(config), Loader=yaml.Loader).subset == config.subset
    del config.__dict__["subset"]
    assert yaml.load(yaml.dump(config), Loader=yaml.Loader).subset == SubsetConfig()
