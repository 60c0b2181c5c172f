from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nerf_plugins.dataparsers.llff import LLFFDataParserConfig, ndc_box
from nerf_plugins.errors import InputError

HEIGHT, WIDTH, FOCAL = 24.0, 32.0, 40.0
OUTPUTS = {"train": [1, 2, 3, 4, 5, 6, 7, 9], "test": [0, 8]}


def identity_row(position, near=2.0, far=10.0) -> np.ndarray:
    """A camera with nerfstudio's axes along the world's: LLFF's down, right, back are -y, x, z."""
    matrix = np.stack([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], position, [HEIGHT, WIDTH, FOCAL]], axis=1)
    return np.concatenate([matrix.ravel(), [near, far]])


def rows(count: int = 10) -> np.ndarray:
    """Cameras in a row along x, 0.1 apart; the first sees the nearest point, at 1.5."""
    x = 0.1 * (np.arange(count) - 0.5 * (count - 1))
    table = np.stack([identity_row([v, 0.0, 0.0]) for v in x])
    table[0, 15] = 1.5
    return table


def write(place: Path, table: np.ndarray, folder: str = "images_4", size=(8, 6), suffix=".png", count=None) -> Path:
    np.save(place / "poses_bounds.npy", table)
    write_images(place, folder, size, suffix, len(table) if count is None else count)
    return place


def write_images(place: Path, folder: str, size, suffix=".png", count: int = 10) -> None:
    (place / folder).mkdir()
    for i in range(count):
        Image.new("L", size).save(place / folder / f"view_{i:02d}{suffix}")


def parse(place: Path, split: str = "train", **options):
    return LLFFDataParserConfig(data=place, **options).setup().get_dataparser_outputs(split)


def fails(place: Path, message: str, **options) -> None:
    """Both refuses, and in one line."""
    with pytest.raises(InputError, match=message) as error:
        parse(place, **options)
    assert "\n" not in str(error.value)


def test_poses_by_hand(tmp_path):
    """Identity cameras stay that; x is scaled by 1 / (0.75 1.5)."""
    outputs = parse(write(tmp_path, rows()))
    poses = outputs.cameras.camera_to_worlds
    torch.testing.assert_close(poses[:, :, :3], torch.eye(3).expand(8, 3, 3))
    expected = 0.1 * (torch.tensor(OUTPUTS["train"]) - 4.5) / (0.75 * 1.5)
    torch.testing.assert_close(poses[:, 0, 3], expected.float())
    torch.testing.assert_close(poses[:, 1:, 3], torch.zeros(8, 2))


def test_axes_by_hand(tmp_path):
    """All cameras look along world +x with world z up: LLFF's down is -z, right -y, back -x.

    The average camera becomes the identity, so that one step along world x is one along -z, and along y one along -x.
    """
    positions = np.array([[1.0, 2.0, 3.0], [1.0, 2.4, 3.0], [2.0, 2.0, 3.0], [1.0, 2.0, 3.6]])
    table = np.stack([identity_row(p, near=4.0 / 3.0) for p in positions])
    axes = np.stack([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]], axis=1)
    for row in table:
        row[:15].reshape(3, 5)[:, :3] = axes
    place = write(tmp_path, table)
    outputs = [parse(place, split, holdout_every=2) for split in ("train", "test")]
    poses = torch.cat([x.cameras.camera_to_worlds for x in outputs])  # views 1, 3, 0, 2
    torch.testing.assert_close(poses[:, :, :3], torch.eye(3).expand(4, 3, 3))
    expected = torch.tensor([[-0.4, 0.0, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    torch.testing.assert_close(poses[:, :, 3] - poses[2, :, 3], expected)
    torch.testing.assert_close(poses[:, :, 3].mean(0), torch.zeros(3))


def test_a_turned_camera_by_hand(tmp_path):
    """One camera is turned by +10 degrees around y, one by -10: they stay so around the average, whose back is z."""
    c, s = np.cos(np.radians(10.0)), np.sin(np.radians(10.0))
    table = np.stack([identity_row([0.0, 0.0, 0.0]) for _ in range(2)])
    for row, sign in zip(table, (1.0, -1.0), strict=True):
        row[:15].reshape(3, 5)[:, :3] = np.stack([[0.0, -1.0, 0.0], [c, 0.0, -sign * s], [sign * s, 0.0, c]], axis=1)
    outputs = parse(write(tmp_path, table), "test")
    expected = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]], dtype=torch.float32)
    torch.testing.assert_close(outputs.cameras.camera_to_worlds[0, :, :3], expected)


def test_the_transform_gives_the_original_poses_back(tmp_path):
    table = rows()
    outputs = parse(write(tmp_path, table))
    back = outputs.transform_poses_to_original_space(outputs.cameras.camera_to_worlds, "opengl")
    torch.testing.assert_close(back[:, :, 3].double(), torch.from_numpy(table[OUTPUTS["train"], 3:15:5]))


def test_intrinsics_are_of_the_images_as_they_are(tmp_path):
    """Images a quarter of the size: focal 40 / 4; NDC's focal over half the size, 10 / 4 and 10 / 3."""
    outputs = parse(write(tmp_path, rows()))
    cameras = outputs.cameras
    assert cameras.fx.unique().tolist() == cameras.fy.unique().tolist() == [10.0]
    assert (cameras.cx[0].item(), cameras.cy[0].item()) == (4.0, 3.0)
    assert (cameras.width[0].item(), cameras.height[0].item()) == (8, 6)
    assert outputs.metadata["ndc"] == pytest.approx({"focal_x": 2.5, "focal_y": 10.0 / 3.0, "near": 1.0})
    assert all(type(v) is float for v in outputs.metadata["ndc"].values())


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_eighth_view_is_held_out(tmp_path, split):
    outputs = parse(write(tmp_path, rows()), split)
    wanted = OUTPUTS["train" if split == "train" else "test"]
    assert [p.name for p in outputs.image_filenames] == [f"view_{i:02d}.png" for i in wanted]
    assert len(outputs.cameras) == len(wanted)


def test_another_holdout(tmp_path):
    place = write(tmp_path, rows())
    assert len(parse(place, "test", holdout_every=3).image_filenames) == 4
    fails(place, "holdout_every 1", holdout_every=1)
    fails(place, "split 'all'", split="all")


def test_ndc_box_by_hand():
    """Identity camera with a shift in x and y: on the near plane x goes a_x times it beyond 1, at infinity nothing."""
    pose = np.concatenate([np.eye(3), [[0.2], [-0.3], [0.0]]], axis=1)[None]
    box = ndc_box(pose, {"focal_x": 2.0, "focal_y": 3.0, "near": 1.0})
    np.testing.assert_allclose(box, [[-1.0, -1.9, -1.0], [1.4, 1.0, 1.0]])


def test_every_ray_is_in_the_box(tmp_path):
    """By the formula for a point: pixels' rays from the near plane on, far out too, with cameras that are turned."""
    table, rng = rows(), np.random.default_rng(0)
    for row in table:
        matrix = row[:15].reshape(3, 5)
        rotation, _ = np.linalg.qr(np.eye(3) + 0.1 * rng.normal(size=(3, 3)))
        rotation *= np.sign(np.diag(rotation))
        matrix[:, :3], matrix[:, 3] = rotation @ matrix[:, :3], matrix[:, 3] + 0.1 * rng.normal(size=3)
    outputs = parse(write(tmp_path, table))
    a_x, a_y, n = outputs.metadata["ndc"].values()
    low, high = outputs.scene_box.aabb
    for i in range(len(outputs.cameras)):
        rays = outputs.cameras.generate_rays(i).flatten()
        start = -(n + rays.origins[:, 2:]) / rays.directions[:, 2:]
        for beyond in (1e-5, 0.5, 5.0, 1e4):
            x, y, z = (rays.origins + (start + beyond) * rays.directions).T
            p = torch.stack([-a_x * x / z, -a_y * y / z, 1.0 + 2.0 * n / z], dim=-1)
            assert (p >= low - 1e-4).all()
            assert (p <= high + 1e-4).all()


class TestFolders:
    def test_full_size_if_it_is_small(self, tmp_path):
        write_images(write(tmp_path, rows()), "images", (32, 24))
        assert parse(tmp_path).image_filenames[0].parent.name == "images"

    def test_a_smaller_one_if_full_size_is_large(self, tmp_path):
        table = rows()
        write_images(write(tmp_path, table, "images_8", (4, 3)), "images", (1640, 1230))
        write_images(tmp_path, "images_4", (8, 6))
        assert parse(tmp_path).image_filenames[0].parent.name == "images_4"
        assert parse(tmp_path, downscale_factor=8).cameras.fx[0].item() == pytest.approx(5.0)
        assert parse(tmp_path, downscale_factor=1).cameras.width[0].item() == 1640

    def test_the_smallest_if_all_are_large(self, tmp_path):
        write_images(write(tmp_path, rows(), "images", (2400, 1800)), "images_2", (1640, 1230))
        assert parse(tmp_path).image_filenames[0].parent.name == "images_2"

    def test_other_folders_do_not_count(self, tmp_path):
        (write(tmp_path, rows()) / "images_old").mkdir()
        assert parse(tmp_path).image_filenames[0].parent.name == "images_4"

    def test_a_missing_one_names_those_present(self, tmp_path):
        write_images(write(tmp_path, rows()), "images", (32, 24))
        fails(tmp_path, "downscale_factor 8: .* no folder images_8; there is images, images_4", downscale_factor=8)

    def test_none_at_all(self, tmp_path):
        np.save(tmp_path / "poses_bounds.npy", rows())
        fails(tmp_path, "no folder images, images_4 or images_8")

    def test_an_empty_one(self, tmp_path):
        fails(write(tmp_path, rows(), count=0), "images_4: has no images")

    def test_suffixes_of_any_case_sorted_and_nothing_else(self, tmp_path):
        place = write(tmp_path, rows(), suffix=".JPG")
        (place / "images_4" / "notes.txt").write_text("")
        (place / "images_4" / "._view_00.JPG").write_bytes(b"")
        names = [p.name for p in parse(place).image_filenames]
        assert names == sorted(names)
        assert len(names) == 8


class TestBrokenInput:
    def test_no_folder(self, tmp_path):
        fails(tmp_path / "nowhere", "nowhere/poses_bounds.npy: there is no such file")

    @pytest.mark.parametrize("content", [b"", b"not numpy", b"\x93NUMPY\x01\x00"])
    def test_poses_that_are_no_array(self, tmp_path, content):
        (write(tmp_path, rows()) / "poses_bounds.npy").write_bytes(content)
        fails(tmp_path, "poses_bounds.npy: not a readable numpy file")

    @pytest.mark.parametrize("table", [np.zeros((10, 15)), np.zeros(17), np.array([["a"] * 17] * 3)])
    def test_poses_of_a_wrong_shape(self, tmp_path, table):
        fails(write(tmp_path, table, count=3), "must hold 17 numbers")

    def test_a_single_view(self, tmp_path):
        fails(write(tmp_path, rows(1)), r"poses_bounds.npy: has 1 view;")

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @pytest.mark.parametrize("column", [0, 3, 14, 16])
    def test_numbers_that_are_not_finite(self, tmp_path, value, column):
        table = rows()
        table[3, column] = value
        fails(write(tmp_path, table), "row 3 has a value that is not finite")

    def test_a_matrix_that_is_no_rotation(self, tmp_path):
        table = rows()
        table[5, 0] = 0.1
        fails(write(tmp_path, table), "row 5: its 3x3 part is no rotation .*orthonormal by 0.1")

    def test_a_mirrored_camera(self, tmp_path):
        table = rows()
        table[5, [0, 5, 10]] *= -1.0
        fails(write(tmp_path, table), "row 5: .*reflection")

    @pytest.mark.parametrize("column", [4, 9, 14])
    def test_a_camera_without_size(self, tmp_path, column):
        table = rows()
        table[2, column] = 0.0
        fails(write(tmp_path, table), r"row 2: \(height, width, focal\)")

    def test_two_cameras(self, tmp_path):
        table = rows()
        table[2, 14] = 55.0
        fails(write(tmp_path, table), "row 2 .*55.*row 0 .*40")

    @pytest.mark.parametrize("bounds", [(0.0, 1.0), (3.0, 2.0), (-1.0, 2.0)])
    def test_bounds_that_are_none(self, tmp_path, bounds):
        table = rows()
        table[4, 15:] = bounds
        fails(write(tmp_path, table), "row 4: near and far bound")

    def test_a_camera_that_looks_back(self, tmp_path):
        table = rows()
        table[7, :15].reshape(3, 5)[:, 1:3] *= -1.0
        fails(write(tmp_path, table), "view 7 looks away")

    def test_a_camera_beyond_the_near_plane(self, tmp_path):
        table = rows()
        table[7, 13] = -5.0
        fails(write(tmp_path, table), "view 7 .*beyond the near plane")

    def test_cameras_that_cancel_out(self, tmp_path):
        table = rows()
        for row in table[::2]:
            row[:15].reshape(3, 5)[:, 1:3] *= -1.0
        fails(write(tmp_path, table), "viewing directions of the views cancel out")

    @pytest.mark.parametrize("count", [9, 11])
    def test_a_wrong_number_of_images(self, tmp_path, count):
        fails(write(tmp_path, rows(), count=count), f"images_4: {count} images, but .*poses_bounds.npy has 10 views")

    @pytest.mark.parametrize("suffix", [".png", ".jpg"])
    @pytest.mark.parametrize(("view", "split"), [("view_00", "val"), ("view_01", "train"), ("view_03", "train")])
    def test_a_truncated_image(self, tmp_path, suffix, view, split):
        path = write(tmp_path, rows(), suffix=suffix) / "images_4" / f"{view}{suffix}"
        noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[: -60 if suffix == ".png" else -20])
        fails(tmp_path, f"image .*{view}{suffix} cannot be read", split=split)

    def test_a_file_that_is_no_image(self, tmp_path):
        (write(tmp_path, rows()) / "images_4" / "view_08.png").write_bytes(b"text")
        fails(tmp_path, r"image .*view_08\.png cannot be read")

    def test_sizes_that_differ(self, tmp_path):
        Image.new("RGB", (16, 12)).save(write(tmp_path, rows()) / "images_4" / "view_06.png")
        fails(tmp_path, "view_06.png: is 16x12 pixels and view_00.png 8x6")

    def test_images_of_another_shape(self, tmp_path):
        fails(write(tmp_path, rows(), size=(6, 8)), "view_00.png: is 6x8 pixels, but .*32x24")
