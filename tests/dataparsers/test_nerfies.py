"""`nerfies-data`: captures in the layout of Nerfies and HyperNeRF."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nerf_plugins.data.checks import check_dataparser_outputs
from nerf_plugins.dataparsers.nerfies import NerfiesDataParserConfig
from nerf_plugins.dataparsers.timed import TimedDataParserConfig
from nerf_plugins.errors import InputError
from nerf_plugins.spaces import suitable_space
from tests.dataparsers.nerfies_capture import CENTER, FAR, POINTS, SCALE, N, change, project, write_capture, write_json


def parse(folder: Path, part: str = "train", **options):
    return NerfiesDataParserConfig(data=folder, **options).setup().get_dataparser_outputs(part)


def test_names_times_and_splits(tmp_path: Path):
    folder = write_capture(tmp_path)
    train, val = parse(folder), parse(folder, "val")
    assert [path.relative_to(folder).as_posix() for path in train.image_filenames] == [
        f"rgb/1x/left{i}.png" for i in range(N)
    ]
    assert [path.stem for path in val.image_filenames] == [f"right{i}" for i in range(N)]
    assert parse(folder, "test").image_filenames == val.image_filenames
    for outputs in (train, val):
        assert outputs.cameras.times[:, 0].tolist() == pytest.approx([i / (N - 1) for i in range(N)])
        check_dataparser_outputs(outputs, "train")
    assert NerfiesDataParserConfig(data=folder).setup().includes_time


def test_photos_in_the_middle_between_others(tmp_path: Path):
    folder = write_capture(tmp_path)
    train, val = (parse(folder, part, split="interpolation", interval=4) for part in ("train", "val"))
    assert [path.stem for path in train.image_filenames] == ["left0", "left2", "left4"]
    assert [path.stem for path in val.image_filenames] == ["left1", "left3"]
    assert val.cameras.times[:, 0].tolist() == pytest.approx([0.25, 0.75])
    for interval in (3, 0, 12):
        with pytest.raises(InputError, match=f"interval {interval}: must be even"):
            parse(folder, split="interpolation", interval=interval)


LENS = {"radial_distortion": [0.1, -0.05, 0.02], "tangential_distortion": [0.01, -0.02]}


@pytest.mark.parametrize("lens", [{}, LENS], ids=["plain", "lens"])
@pytest.mark.parametrize("factor", [1, 2])
def test_rays_of_pixels_meet_the_points_that_are_seen_there(tmp_path: Path, lens: dict, factor: int):
    """The pixel is computed by the authors' formulae, the ray is nerfstudio's."""
    folder = write_capture(tmp_path, **lens)
    outputs = parse(folder, downscale_factor=factor)
    points = outputs.metadata["background_points"]
    torch.testing.assert_close(points, torch.from_numpy(SCALE * (POINTS - np.array(CENTER))).float())
    assert int(outputs.cameras.width[0]) == 16 // factor
    for i in (0, 3):
        camera = json.loads((folder / "camera" / f"left{i}.json").read_text())
        for world, scene in zip(POINTS, points):
            x, y = (value / factor for value in project(camera, world))
            ray = outputs.cameras.generate_rays(i, coords=torch.tensor([y, x], dtype=torch.float32))
            to_point = torch.nn.functional.normalize(scene - ray.origins, dim=-1)
            torch.testing.assert_close(ray.directions, to_point, atol=2e-5, rtol=0)


def test_a_pixel_by_hand(tmp_path: Path):
    """A camera at the world's origin that looks along x: what is one to the right and two down in a distance of four."""
    folder = write_capture(tmp_path)
    looks = {"orientation": [[0, -1, 0], [0, 0, -1], [1, 0, 0]], "position": [0, 0, 0]}
    change(folder / "camera" / "left0.json", **looks)
    camera = json.loads((folder / "camera" / "left0.json").read_text())
    assert project(camera, np.array([4.0, -1.0, -2.0])) == pytest.approx((20 / 4 + 8.5, 20 * 1.25 / 2 + 5.5))
    cameras = parse(folder).cameras
    assert cameras.camera_to_worlds[0, :, 3].tolist() == pytest.approx([-0.125, 0.25, -0.5])
    ray = cameras.generate_rays(0, coords=torch.tensor([18.0, 13.5]))
    expected = torch.tensor([4.0, -1.0, -2.0]) / np.sqrt(21)
    torch.testing.assert_close(ray.directions, expected.float(), atol=1e-5, rtol=0)


def test_the_box_is_a_cube_around_all_that_is_seen(tmp_path: Path):
    outputs = parse(write_capture(tmp_path))
    low, high = outputs.scene_box.aabb
    torch.testing.assert_close(high - low, (high - low)[:1].expand(3))
    for i in range(N):
        rays = outputs.cameras.generate_rays(i)
        ends = rays.origins + FAR * rays.directions
        assert ((ends > low - 1e-4) & (ends < high + 1e-4)).all()
    assert suitable_space(outputs.metadata | {"cameras_inside_box": True}) == "box"
    assert suitable_space({"cameras_inside_box": True}) == "contracted"


def test_the_scene_is_what_its_transform_says(tmp_path: Path):
    outputs = parse(write_capture(tmp_path))
    world = torch.tensor([[1.0, 2.0, 3.0]])
    turn, shift = outputs.dataparser_transform[:, :3], outputs.dataparser_transform[:, 3]
    scene = outputs.dataparser_scale * (world @ turn.T + shift)
    torch.testing.assert_close(scene, SCALE * (world - torch.tensor(CENTER)))


def test_older_metadata_have_warp_ids_alone(tmp_path: Path):
    folder = write_capture(tmp_path)
    metadata = json.loads((folder / "metadata.json").read_text())
    for values in metadata.values():
        values.pop("time_id")
    write_json(folder / "metadata.json", metadata)
    assert parse(folder).cameras.times[1].item() == pytest.approx(1 / (N - 1))


def test_one_photo_a_time_by_one_camera_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write_capture(tmp_path)
    parse(folder)
    parse(folder, "val")
    assert capsys.readouterr().out.count("depth and motion can be told apart by the camera's own motion only") == 1
    change(folder / "dataset.json", train_ids=["left0", "right1", "left2"], val_ids=["right0"])
    parse(folder)
    assert "depth and motion" not in capsys.readouterr().out


def test_photos_of_one_time_and_other_entries_are_read(tmp_path: Path):
    folder = write_capture(tmp_path)
    metadata = json.loads((folder / "metadata.json").read_text())
    write_json(folder / "metadata.json", {name: values | {"time_id": 7} for name, values in metadata.items()})
    (folder / "points.npy").unlink()
    outputs = parse(folder)
    assert not outputs.cameras.times.any()
    assert "background_points" not in outputs.metadata


def damaged(path: str, **changes):
    return lambda folder: change(folder / path, **changes)


LEFT1 = "camera/left1.json"
BAD = {
    "no list": (damaged("dataset.json", val_ids=[]), r"dataset.json: val_ids is \[\]: .*--split interpolation"),
    "listed twice": (damaged("dataset.json", val_ids=["left1"]), "dataset.json: left1 is listed twice"),
    "no metadata": (damaged("metadata.json", left1=None), "metadata.json: has nothing of left1"),
    "no time": (damaged("metadata.json", left1={"time_id": None}), "metadata.json: left1 has the time_id None"),
    "time not finite": (damaged("metadata.json", left1={"time_id": float("nan")}), "left1 has the time_id nan"),
    "no photo": (lambda folder: (folder / "rgb/1x/left1.png").unlink(), r"left1.png: there is no such photo.*\(1 of 6"),
    "no camera": (lambda folder: (folder / LEFT1).unlink(), "left1.json: there is no such file"),
    "no JSON": (lambda folder: (folder / LEFT1).write_text("{"), "left1.json: cannot be read as JSON"),
    "no focal length": (damaged(LEFT1, focal_length=None), "left1.json: has no focal_length"),
    "not finite": (damaged(LEFT1, position=[0, float("nan"), 0]), "left1.json: position is .*: it must be 3, finite"),
    "no rotation": (damaged(LEFT1, orientation=[[1, 0, 0], [0, 1, 0], [0, 0, -1]]), "orientation is no rotation"),
    "skew": (damaged(LEFT1, skew=9.0), r"left1.json: has a skew of 2.16 pixels"),
    "lens": (
        damaged(LEFT1, radial_distortion=[-4.0, 0, 0]),
        r"left1.json: the distortion .* cannot be inverted at pixel \(0, 0\)",
    ),
    "another size": (
        damaged(LEFT1, image_size=[32, 24]),
        "left1.png: is 16x12 pixels, but its camera's photo has 32x24 in 1x",
    ),
    "scene": (damaged("scene.json", scale=-1.0), "scene.json: scale -1 and far 1.5 must be above 0"),
    "scene not finite": (damaged("scene.json", center=[0, 0, float("inf")]), "scene.json: center is .* finite"),
    "points": (
        lambda folder: np.save(folder / "points.npy", np.zeros((4, 2))),
        r"points.npy: must be an array \(n, 3\)",
    ),
    "point": (lambda folder: np.save(folder / "points.npy", np.full((4, 3), np.nan)), "points.npy: point 0 is"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_are_named_in_one_line(tmp_path: Path, case: str):
    damage, message = BAD[case]
    folder = write_capture(tmp_path)
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        parse(folder)
    assert "\n" not in str(caught.value)


def test_a_factor_that_is_not_there(tmp_path: Path):
    with pytest.raises(InputError, match="has no folder rgb/4x; there is rgb/1x, rgb/2x"):
        parse(write_capture(tmp_path), downscale_factor=4)


def test_the_best_factor_is_chosen_by_the_photos(tmp_path: Path):
    folder = write_capture(tmp_path)
    assert {path.parent.name for path in parse(folder).image_filenames} == {"1x"}
    Image.new("RGB", (1640, 8)).save(folder / "rgb" / "1x" / "0.png")  # the first by its name
    assert {path.parent.name for path in parse(folder).image_filenames} == {"2x"}
    for path in (folder / "rgb" / "1x").glob("*.png"):
        path.rename(path.with_suffix(".jpg"))
    with pytest.raises(InputError, match=r"1x: has no images; put \.png files there"):
        parse(folder)


def test_a_small_skew_is_left_out(tmp_path: Path):
    folder = write_capture(tmp_path, skew=2.0)
    assert len(parse(folder).cameras) == N


def test_background_points_of_timed_data_follow_the_poses(tmp_path: Path):
    """A point where a camera stands stays there, whatever the dataparser does to the scene."""
    from tests.dataparsers.test_timed import TIMES, write

    folder = write(tmp_path, TIMES)
    meta = json.loads((folder / "transforms.json").read_text())
    stands = {frame["file_path"]: np.array(frame["transform_matrix"])[:3, 3] for frame in meta["frames"]}
    outputs = TimedDataParserConfig(data=folder).setup().get_dataparser_outputs("train")
    assert "background_points" not in outputs.metadata
    np.save(folder / "points.npy", np.stack([stands[f"images/{path.name}"] for path in outputs.image_filenames]))
    outputs = TimedDataParserConfig(data=folder).setup().get_dataparser_outputs("train")
    torch.testing.assert_close(
        outputs.metadata["background_points"], outputs.cameras.camera_to_worlds[:, :, 3], atol=1e-5, rtol=0
    )
