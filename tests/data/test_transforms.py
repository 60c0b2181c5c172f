"""What is wrong in a file of frames is named there: file, frame and value, before anything mixes the frames."""

import json
from pathlib import Path

import numpy as np
import pytest
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from PIL import Image

from nerf_plugins.data.datamanager import NerfDataManager, NerfDataManagerConfig
from nerf_plugins.data.subset import SubsetConfig
from nerf_plugins.errors import InputError
from tests.data.datasets import load, picture, pose, rewrite, step, write_transforms


def refused(data: Path, message: str, dataparser: str = "nerfstudio-data") -> None:
    with pytest.raises(InputError, match=message) as error:
        load(data, dataparser)
    assert "\n" not in str(error.value)


def set_pose(k: int, spoil):
    def change(meta: dict) -> None:
        matrix = np.array(meta["frames"][k]["transform_matrix"])
        meta["frames"][k]["transform_matrix"] = spoil(matrix).tolist()

    return change


def put(value: float, *place: int):
    def spoil(matrix: np.ndarray) -> np.ndarray:
        matrix[place] = value
        return matrix

    return spoil


def move_to_frames(key: str, but: int):
    def change(meta: dict) -> None:
        value = meta.pop(key)
        for k, frame in enumerate(meta["frames"]):
            frame |= {} if k == but else {key: value}

    return change


BAD_FRAMES = {
    "nan": (set_pose(7, put(np.nan, 0, 3)), r"images/007\.png is not finite"),
    "infinity": (set_pose(7, put(np.inf, 1, 1)), r"images/007\.png is not finite"),
    "zeros": (set_pose(7, np.zeros_like), r"images/007\.png has the last row"),
    "scaled": (set_pose(7, lambda m: m @ np.diag([2, 2, 2, 1])), r"images/007\.png is not a rotation"),
    "mirrored": (set_pose(7, lambda m: m @ np.diag([1, 1, -1, 1])), r"images/007\.png is not a rotation"),
    "transposed": (set_pose(7, lambda m: m.T), r"images/007\.png has the last row .+: transpose it"),
    "3x4": (set_pose(7, lambda m: m[:3]), r"images/007\.png has the shape \(3, 4\)"),
    "text": (lambda m: m["frames"][7].update(transform_matrix="none"), r"images/007\.png is no matrix of numbers"),
    "ragged": (lambda m: m["frames"][7]["transform_matrix"].__setitem__(1, [0]), r"images/007\.png is no matrix"),
    "missing": (lambda m: m["frames"][7].pop("transform_matrix"), r"images/007\.png has no transform_matrix"),
    "a focal length of 0": (lambda m: m.update(fl_x=0), "fl_x is 0: it must be above 0"),
    "a focal length in text": (lambda m: m.update(fl_x="wide"), "fl_x is 'wide': it must be a number"),
    "no principal point": (lambda m: m.update(cx=float("nan")), "cx is nan: it must be a finite number"),
    "a frame's focal length": (lambda m: m["frames"][7].update(fl_y=-1), r"images/007\.png: fl_y is -1"),
    "degrees": (lambda m: m.update(camera_angle_x=51.3), "camera_angle_x is 51.3: it must be in radians"),
    "an unknown model": (lambda m: m.update(camera_model="FOO"), "camera_model 'FOO' is unknown: it must be one of"),
    "little distortion": (lambda m: m.update(distortion_params=[0.1]), r"distortion_params is \[0.1\]: it must be 6"),
    "a mask of no name": (lambda m: m["frames"][7].update(mask_path=None), r"images/007\.png has the mask_path None"),
    "k4 alone": (lambda m: m.update(k4=0.1), "k4 is there without k1"),
    "a scale of 0": (lambda m: m.update(applied_scale=0.0), "applied_scale is 0.0: it must be a number above 0"),
    "a 2x3 transform": (lambda m: m.update(applied_transform=[[1, 0, 0], [0, 1, 0]]), "applied_transform must be a 3x4"),
    "a text as transform": (lambda m: m.update(applied_transform="none"), "applied_transform must be a 3x4"),
    "an unknown way up": (lambda m: m.update(orientation_override="down"), "orientation_override is 'down': give one of"),
    "no focal length in a frame": (move_to_frames("fl_x", but=7), r"images/007\.png has no fl_x, and the file none for all"),
    "twice by other names": (lambda m: m["frames"][7].update(file_path="./images/003.png"), r"images/003\.png is listed twice"),
    "twice": (lambda m: m["frames"][7].update(file_path="images/003.png"), r"003\.png is listed twice .frames 3 and 7."),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_the_guilty_frame_is_named(tmp_path: Path, kind: str):
    spoil, message = BAD_FRAMES[kind]
    meta = write_transforms(tmp_path)
    spoil(meta)
    rewrite(tmp_path, meta)
    refused(tmp_path, rf"transforms\.json: .*{message}")


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("utf-8-sig", "byte order mark: save it as UTF-8 without one"),
        ("utf-16", "is not written in UTF-8 .*: save it as UTF-8"),
    ],
)
def test_an_editors_encoding_is_named(tmp_path: Path, encoding: str, message: str):
    path = tmp_path / "transforms.json"
    write_transforms(tmp_path)
    path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    refused(tmp_path, rf"transforms\.json: .*{message}")


def test_a_broken_link_is_named(tmp_path: Path):
    write_transforms(tmp_path)
    image = tmp_path / "images/005.png"
    image.unlink()
    image.symlink_to(image)
    refused(tmp_path, r"005\.png of the train split does not exist: it is a link that leads to no file")


def names(*numbers: int) -> list[str]:
    return [f"images/{k:03d}.png" for k in numbers]


BAD_LISTS = {
    "no val": ({"train": names(*range(9)), "test": names(9, 10)}, "no val_filenames: add it"),
    "no train": ({"val": names(9), "test": names(10)}, "no train_filenames: add it"),
    "only train": ({"train": names(*range(9))}, "no val_filenames: add it"),
    "empty": ({"train": names(*range(9)), "val": []}, "val_filenames must be a list with at least one image"),
    "text": ({"train": names(*range(9)), "val": "images/009.png"}, "val_filenames must be a list"),
    "unknown": ({"train": names(*range(9)), "val": ["images/0010.png"]}, r"val_filenames lists 'images/0010\.png'.+did you mean images/0"),
    "test unknown": ({"train": names(*range(9)), "val": names(9), "test": ["010.png"]}, r"test_filenames lists '010\.png'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_LISTS)
def test_lists_of_all_splits_are_checked_first(tmp_path: Path, kind: str):
    lists, message = BAD_LISTS[kind]
    write_transforms(tmp_path, **{f"{split}_filenames": value for split, value in lists.items()})
    refused(tmp_path, rf"transforms\.json: .*{message}")


def test_without_test_images_those_for_validation_stand_in(tmp_path: Path, capsys):
    write_transforms(tmp_path, train_filenames=names(*range(9)), val_filenames=names(9, 10))
    for mode in ("val", "test"):
        manager = load(tmp_path, test_mode=mode)
        assert [path.name for path in manager.eval_dataset.image_filenames] == ["009.png", "010.png"]
        assert ("stand in" in capsys.readouterr().out) == (mode == "test")


def test_an_image_in_two_lists_is_said(tmp_path: Path, capsys):
    write_transforms(tmp_path, train_filenames=names(*range(9)), val_filenames=names(8, 10))
    step(load(tmp_path))
    assert "1 image is listed to be trained and evaluated on (images/008.png)" in capsys.readouterr().out.replace(
        "\n", " "
    )


@pytest.mark.parametrize("dataparser", ["nerfstudio-data", "instant-ngp-data"])
@pytest.mark.parametrize("n", range(2, 11))
def test_few_photos_train(tmp_path: Path, n: int, dataparser: str, capsys):
    """nerfstudio holds a tenth out, rounded down: none of fewer than ten."""
    write_transforms(tmp_path, n=n)
    for mode in ("val", "test"):
        manager = load(tmp_path, dataparser, mode)
        step(manager, 64)
        assert (len(manager.train_dataset), len(manager.eval_dataset)) == (min(n, 9), 1)
        k = int(manager.eval_dataset.image_filenames[0].stem)
        out = capsys.readouterr().out
        assert (f"Of {n} photos none is held out: evaluation shows {k:03d}.png" in out) == (n < 10)
        if dataparser == "instant-ngp-data":
            np.testing.assert_allclose(
                manager.eval_dataset.cameras.camera_to_worlds[0, :, :3], pose(k, n)[:3, :3], atol=1e-6
            )


@pytest.mark.parametrize("dataparser", ["nerfstudio-data", "instant-ngp-data"])
def test_one_photo_is_too_few(tmp_path: Path, dataparser: str):
    write_transforms(tmp_path, n=1)
    refused(tmp_path, "there is only one photo", dataparser)


def test_cameras_in_one_place(tmp_path: Path):
    meta = write_transforms(tmp_path)
    for frame in meta["frames"]:
        for row, value in zip(frame["transform_matrix"], (1.0, 2.0, 3.0)):
            row[3] = value
    rewrite(tmp_path, meta)
    refused(tmp_path, r"all 12 cameras stand in one place \(1, 2, 3\)")


def test_odd_cameras_are_said(tmp_path: Path, capsys):
    """One 5,000 away from others at 3; two with one pose; a principal point as a share of the image."""
    meta = write_transforms(tmp_path)
    meta["frames"][4]["transform_matrix"][0][3] = 5000.0
    meta["frames"][6]["transform_matrix"] = meta["frames"][5]["transform_matrix"]
    meta.update(cx=0.5, cy=0.5)
    rewrite(tmp_path, meta)
    step(load(tmp_path))
    out = capsys.readouterr().out
    assert "The camera of 004.png stands 1," in out
    assert "1 image has the very pose of another one, 006.png that of 005.png" in out
    assert "The principal point of 000.png, (0.5, 0.5), is in a corner" in out


def test_sound_cameras_are_not_said(tmp_path: Path, capsys):
    write_transforms(tmp_path)
    step(load(tmp_path))
    out = capsys.readouterr().out
    assert "camera" not in out
    assert "pose" not in out


def write_blender(folder: Path, splits=("train", "val", "test"), name="{}/r_{}", ending=".png") -> dict[str, dict]:
    """Blender's layout: the first 8 pictures of a ring are trained on, two more are in each other split."""
    written = {}
    for split, numbers in {"train": range(8), "val": (8, 9), "test": (10, 11)}.items():
        if split not in splits:
            continue
        (folder / split).mkdir()
        frames = []
        for k in numbers:
            Image.fromarray(picture(k)[0]).save(folder / split / f"r_{k}{ending}")
            frames.append({"file_path": name.format(split, k), "transform_matrix": pose(k, 12).tolist()})
        written[split] = {"camera_angle_x": 0.9, "frames": frames}
        (folder / f"transforms_{split}.json").write_text(json.dumps(written[split]))
    return written


def test_blender_without_test_images(tmp_path: Path, capsys):
    write_blender(tmp_path, ("train", "val"))
    manager = load(tmp_path, "blender-data", "test")
    assert [path.name for path in manager.eval_dataset.image_filenames] == ["r_8.png", "r_9.png"]
    assert "stand in" in capsys.readouterr().out


def test_blender_without_val_images(tmp_path: Path):
    write_blender(tmp_path, ("train", "test"))
    refused(tmp_path, r"transforms_val\.json", "blender-data")


def test_blenders_other_splits_are_checked_before_training(tmp_path: Path):
    meta = write_blender(tmp_path)["test"]
    meta["frames"][1]["transform_matrix"][0][3] = float("nan")
    (tmp_path / "transforms_test.json").write_text(json.dumps(meta))
    refused(tmp_path, r"transforms_test\.json: the pose of test/r_11 is not finite", "blender-data")


@pytest.mark.parametrize(
    ("name", "ending", "hint"),
    [
        ("{}/r_{}.png", ".png", r"r_0\.png\.png does not exist: r_0\.png is there: write file_path without its ending"),
        ("{}/r_{}", ".jpg", r"r_0\.png does not exist: r_0\.jpg is there"),
    ],
)
def test_blenders_endings(tmp_path: Path, name: str, ending: str, hint: str):
    write_blender(tmp_path, name=name, ending=ending)
    refused(tmp_path, hint, "blender-data")


def test_a_split_file_of_a_dataset_without_test_images(tmp_path: Path):
    """The user's own lists may name any image of the splits that there are."""
    write_transforms(tmp_path, train_filenames=names(*range(9)), val_filenames=names(9, 10))
    (tmp_path / "split.json").write_text(json.dumps({"train": ["009.png", "000.png"], "test": ["010.png"]}))
    config = NerfstudioDataParserConfig(data=tmp_path)
    subset = SubsetConfig(split_file=tmp_path / "split.json")
    manager = NerfDataManager(NerfDataManagerConfig(dataparser=config, subset=subset))
    assert [path.name for path in manager.train_dataset.image_filenames] == ["009.png", "000.png"]
    assert [path.name for path in manager.eval_dataset.image_filenames] == ["010.png"]


@pytest.mark.parametrize("options", [{"eval_mode": "filename"}, {"orientation_method": "foo"}])
def test_an_options_fault_is_not_blamed_on_the_dataparser(tmp_path: Path, options: dict):
    """instant-ngp-data would read these data, but not as they were asked for."""
    write_transforms(tmp_path)
    with pytest.raises(InputError, match=r"nerfstudio-data cannot read it \(.+\)$"):
        load(tmp_path, **options)
