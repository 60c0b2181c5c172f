"""Data that the chosen dataparser cannot read: the message says which one can, or which file is at fault."""

import json
from pathlib import Path

import numpy as np
import pytest
from nerfstudio.configs.dataparser_configs import all_dataparsers
from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig
from nerfstudio.data.dataparsers.blender_dataparser import BlenderDataParserConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from PIL import Image

from nerf_plugins.data.datamanager import NerfDataManager, NerfDataManagerConfig
from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.errors import InputError

POSE = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 4.0], [0.0, 0.0, 0.0, 1.0]]


def load(config: DataParserConfig) -> NerfDataManager:
    return NerfDataManager(NerfDataManagerConfig(dataparser=config))


def config_of(name: str, data: Path) -> DataParserConfig:
    return type(all_dataparsers[name])(data=data)


def write_images(folder: Path, names: list[str]) -> list[dict]:
    for name in names:
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)).save(path)
    return [{"file_path": name, "transform_matrix": moved(POSE, 0.1 * i)} for i, name in enumerate(names)]


def moved(pose: list[list[float]], x: float) -> list[list[float]]:
    return [[*pose[0][:3], x], *pose[1:]]


def write_blender(folder: Path) -> Path:
    for split in ("train", "val", "test"):
        frames = write_images(folder, [f"./{split}/r_{i}" for i in range(3)])
        (folder / f"transforms_{split}.json").write_text(json.dumps({"camera_angle_x": 0.7, "frames": frames}))
    return folder


def write_nerfstudio(folder: Path) -> Path:
    frames = write_images(folder, [f"images/{i:02d}" for i in range(12)])
    for i, frame in enumerate(frames):
        frame["file_path"] += ".png"
        frame["transform_matrix"] = ring(12)[i].tolist()
    size = {"fl_x": 40.0, "fl_y": 40.0, "cx": 16.0, "cy": 16.0, "w": 32, "h": 32}
    (folder / "transforms.json").write_text(json.dumps({**size, "frames": frames}))
    return folder


def ring(n: int) -> list[np.ndarray]:
    """Camera-to-world matrices (4, 4) around the origin, which they look at along -z."""
    poses = []
    for angle in 2 * np.pi * np.arange(n) / n:
        back = np.array([np.cos(angle), np.sin(angle), 0.3]) / np.sqrt(1.09)
        right = np.array([-np.sin(angle), np.cos(angle), 0.0])
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(back, right), back, 3 * back], axis=1)
        poses.append(pose)
    return poses


def write_neus(folder: Path) -> Path:
    write_images(folder, [f"image/{i:03d}" for i in range(9)])
    k = np.array([[40.0, 0, 16, 0], [0, 40, 16, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    world = {f"world_mat_{i}": k @ np.linalg.inv(p @ np.diag([1, -1, -1, 1])) for i, p in enumerate(ring(9))}
    np.savez(folder / "cameras_sphere.npz", **world, **{f"scale_mat_{i}": np.eye(4) for i in range(9)})
    return folder


def write_llff(folder: Path) -> Path:
    write_images(folder, [f"images/{i:03d}" for i in range(9)])
    rows = []
    for i in range(9):
        matrix = np.zeros((3, 5))
        matrix[:, 0], matrix[:, 1], matrix[:, 2] = [0, -1, 0], [1, 0, 0], [0, 0, 1]
        matrix[:, 3], matrix[:, 4] = [0.1 * i, 0, 0], [32, 32, 40]
        rows.append([*matrix.flatten(), 2.0, 8.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))
    return folder


DATASETS = {
    "blender-data": (write_blender, "transforms_train.json"),
    "nerfstudio-data": (write_nerfstudio, "transforms.json"),
    "neus-data": (write_neus, "cameras_sphere.npz"),
    "llff-data": (write_llff, "poses_bounds.npy"),
}


@pytest.mark.parametrize("given", DATASETS)
@pytest.mark.parametrize("there", DATASETS)
def test_the_dataparser_that_fits_is_named(tmp_path: Path, given: str, there: str):
    write, mark = DATASETS[there]
    write(tmp_path)
    if given == there:
        assert len(load(config_of(given, tmp_path)).train_dataset) > 1
        return
    first = "instant-ngp-data or " if there == "nerfstudio-data" else ""
    with pytest.raises(InputError, match=rf"{given} finds no .+, but {mark} is there: give {first}{there} instead$"):
        load(config_of(given, tmp_path))


@pytest.mark.parametrize("there", DATASETS)
def test_a_dataparser_that_fails_too_is_not_advised(tmp_path: Path, there: str):
    """Its file is there, but empty."""
    given = "llff-data" if there != "llff-data" else "neus-data"
    (tmp_path / DATASETS[there][1]).touch()
    with pytest.raises(InputError, match=rf"{given} finds no .+; .+ is there, but .+ cannot read it \(.+\)$"):
        load(config_of(given, tmp_path))


def test_instant_ngps_files_without_endings(tmp_path: Path):
    """nerfstudio-data cannot read them, instant-ngp-data can; without the images neither can, and none is advised."""
    write_nerfstudio(tmp_path)
    meta = json.loads((tmp_path / "transforms.json").read_text())
    frames = [frame | {"file_path": frame["file_path"][:-4]} for frame in meta["frames"]]
    (tmp_path / "transforms.json").write_text(json.dumps({"camera_angle_x": 0.9, "frames": frames}))
    with pytest.raises(InputError, match=r"nerfstudio-data fails .+ is there: give instant-ngp-data instead"):
        load(config_of("nerfstudio-data", tmp_path))
    manager = load(config_of("instant-ngp-data", tmp_path))
    assert (len(manager.train_dataset), len(manager.eval_dataset)) == (11, 1)
    for image in (tmp_path / "images").iterdir():
        image.unlink()
    for name in ("nerfstudio-data", "instant-ngp-data"):
        with pytest.raises(InputError) as error:
            load(config_of(name, tmp_path))
        assert "instead" not in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("images/00", r"00 of .+ does not exist: 00\.png is there|no such file: .+/00.+give instant-ngp-data"),
        ("images/00.PNG", r"00\.PNG .*does not exist: 00\.png is there"),
        ("elsewhere/00.png", "there is no folder .*elsewhere"),
        ("images\\00.png", r"write / in file_path instead of \\"),
        ("images/77.png", "check the frames"),
    ],
)
@pytest.mark.parametrize("place", [0, 5])
def test_an_image_under_another_name_is_hinted_at(tmp_path: Path, written: str, hint: str, place: int):
    write_nerfstudio(tmp_path)
    meta = json.loads((tmp_path / "transforms.json").read_text())
    meta["frames"][place]["file_path"] = written.replace("00", f"{place:02d}")
    (tmp_path / "transforms.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match=hint.replace("00", f"{place:02d}")):
        load(config_of("nerfstudio-data", tmp_path))


@pytest.mark.parametrize("given", ["colmap", "dnerf-data"])
def test_a_dataparser_whose_layout_we_do_not_know_is_heard_first(tmp_path: Path, given: str):
    write_blender(tmp_path)
    with pytest.raises(
        InputError, match=rf"{given} fails \(.+\), but transforms_train.json is there: give blender-data"
    ):
        load(config_of(given, tmp_path))


def test_two_that_fit_are_both_named(tmp_path: Path):
    write_neus(tmp_path)
    write_llff(tmp_path)
    with pytest.raises(
        InputError, match=r"poses_bounds.npy and cameras_sphere.npz is there: give llff-data or neus-data instead"
    ):
        load(config_of("blender-data", tmp_path))


def test_what_demo_data_says_itself_stays(tmp_path: Path):
    write_blender(tmp_path)
    with pytest.raises(InputError, match="resolution 1"):
        load(DemoDataParserConfig(data=tmp_path, resolution=1))


def test_an_error_after_reading_says_nothing_of_layouts(tmp_path: Path):
    write_blender(tmp_path)
    train = json.loads((tmp_path / "transforms_train.json").read_text())
    for frame in train["frames"]:
        frame["time"] = 0.0
    (tmp_path / "transforms_train.json").write_text(json.dumps(train))
    (tmp_path / "transforms_val.json").unlink()
    with pytest.raises(InputError, match=r"dnerf-data cannot read it \(no such file: .*transforms_val\.json\)$"):
        load(config_of("dnerf-data", tmp_path))


def test_a_folder_that_nothing_fits_names_the_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"blender-data cannot read it \(no such file: .*transforms_train\.json\)$"):
        load(BlenderDataParserConfig(data=tmp_path))


READERS = ["nerfstudio-data", "blender-data", "llff-data", "neus-data", "timed-data", "dnerf-data"]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("inner", ["", "images/"])
def test_photos_without_poses_are_sent_to_process_data(tmp_path: Path, name: str, inner: str):
    data = tmp_path / "my photos"
    write_images(data, [f"{inner}{k}" for k in range(3)])
    source, target = str(data / inner).rstrip("/"), "images_capture" if inner else "'my photos_capture'"
    with pytest.raises(InputError) as error:
        load(config_of(name, data))
    assert str(error.value) == (
        f"--data {data}: has photos (0.png, ...), but no poses; nerf-plugins process-data '{source}' --output-dir {target} "
        f"finds them and makes the dataset: then give --data {target}"
    )


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "walk.mp4",
            r"--data .*walk\.mp4: is a video, without poses; nerf-plugins process-data .*mp4 --output-dir walk_c",
        ),
        (
            "",
            r"--data .*: has a video, walk\.mp4, but no poses; nerf-plugins process-data .*walk\.mp4 --output-dir walk_c",
        ),
        ("notes.txt", r"--data .*notes\.txt: is a file: give the folder of a dataset$"),
    ],
)
def test_a_video_is_sent_to_process_data(tmp_path: Path, name: str, given: str, message: str):
    (tmp_path / "walk.mp4").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=message):
        load(config_of(name, tmp_path / given))


def test_colmaps_images_are_not_taken_for_photos_without_poses(tmp_path: Path):
    write_images(tmp_path, ["images/0"])
    (tmp_path / "sparse").mkdir()
    with pytest.raises(InputError, match="nerfstudio-data cannot read it"):
        load(config_of("nerfstudio-data", tmp_path))


@pytest.mark.parametrize("name", ["blender-data", "nerfstudio-data", "colmap"])
def test_a_folder_that_is_not_there(tmp_path: Path, name: str):
    with pytest.raises(InputError, match=r"--data .*nowhere does not exist"):
        load(config_of(name, tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"frames": [', "is no JSON .Expecting value"),
        ('{"frames": []}', '"frames" is empty'),
        ('{"camera_angle_x": 0.7}', 'has no list "frames"'),
        ("[1, 2]", 'has no list "frames"'),
        ('{"frames": [{"file_path": 3}]}', "frame 0 has no file_path"),
        ('{"frames": [{"file_path": "train/r_0"}]}', "train/r_0 has no transform_matrix"),
    ],
    ids=["no JSON", "no frames", "no list", "a list", "no name", "no pose"],
)
def test_a_file_that_says_too_little(tmp_path: Path, text: str, message: str):
    write_blender(tmp_path)
    (tmp_path / "transforms_train.json").write_text(text)
    with pytest.raises(InputError, match=rf"transforms_train\.json: {message}"):
        load(BlenderDataParserConfig(data=tmp_path))


def spoil(path: Path, kind: str) -> None:
    whole = path.read_bytes()
    path.write_bytes(
        {"truncated": whole[: len(whole) // 2], "a header": whole[:10], "empty": b"", "text": b"x" * 99}[kind]
    )


@pytest.mark.parametrize("kind", ["truncated", "a header", "empty", "text"])
@pytest.mark.parametrize("image", ["train/r_0", "train/r_1", "val/r_0"])
def test_a_broken_image_of_blenders_is_named(tmp_path: Path, image: str, kind: str):
    spoil(write_blender(tmp_path) / f"{image}.png", kind)
    with pytest.raises(InputError, match=rf"image .*{image}\.png cannot be read"):
        read_all(BlenderDataParserConfig(data=tmp_path))


@pytest.mark.parametrize("image", ["train/r_0", "train/r_1"])
def test_a_missing_image_of_blenders_is_named(tmp_path: Path, image: str):
    (write_blender(tmp_path) / f"{image}.png").unlink()
    with pytest.raises(InputError, match=rf"image .*{image}\.png .*does not exist"):
        load(BlenderDataParserConfig(data=tmp_path))


@pytest.mark.parametrize("kind", ["truncated", "a header", "empty", "text"])
@pytest.mark.parametrize("image", ["images/00", "images/01"])
def test_a_broken_image_of_nerfstudios_is_named(tmp_path: Path, image: str, kind: str):
    spoil(write_nerfstudio(tmp_path) / f"{image}.png", kind)
    with pytest.raises(InputError, match=rf"image .*{image}\.png.*: replace it or leave it out"):
        read_all(NerfstudioDataParserConfig(data=tmp_path))


def read_all(config: DataParserConfig) -> None:
    manager = load(config)
    for dataset in (manager.train_dataset, manager.eval_dataset):
        for i in range(len(dataset)):
            dataset[i]
