"""A reconstruction as a dataset."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from PIL import Image

from nerf_plugins.captures.job import read_reconstruction, write_reconstruction
from nerf_plugins.captures.masks import write_mask
from nerf_plugins.captures.picture import draw_capture
from nerf_plugins.captures.writing import write_points, write_smaller, write_transforms, write_views
from nerf_plugins.dataparsers.timed import TimedDataParserConfig
from nerf_plugins.geometry.poses import aligned_error
from tests.captures.made_scene import arc
from tests.captures.reconstructions import CAMERA, made

NAMES = [f"{k}.jpg" for k in range(10)]


def write_dataset(folder, reconstruction, with_masks=False, seconds=None):
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for name, image in reconstruction.posed.items():
        camera = reconstruction.cameras[image.camera]
        Image.fromarray(rng.integers(0, 255, (camera.height, camera.width, 3), dtype=np.uint8)).save(
            folder / "images" / name
        )
        if with_masks:
            (folder / "masks").mkdir(exist_ok=True)
            mask = np.zeros((camera.height, camera.width), dtype=bool)
            mask[:, : camera.width // 2] = True
            write_mask(mask, folder / "masks" / f"{name}.png")
    write_points(reconstruction, folder / "sparse_pc.ply")
    write_views(reconstruction, folder / "sparse_views.npz")
    write_smaller(reconstruction, folder, with_masks, lambda done, total: None)
    write_transforms(reconstruction, folder, with_masks, seconds or {})


def parsed(folder, split="train", **options):
    return NerfstudioDataParserConfig(data=folder, **options).setup().get_dataparser_outputs(split)


def test_nerfstudio_reads_cameras_and_poses(tmp_path):
    write_dataset(tmp_path, made(dict.fromkeys(NAMES, 100)))
    outputs = parsed(tmp_path, train_split_fraction=1.0)
    cameras = outputs.cameras
    assert [p.name for p in outputs.image_filenames] == NAMES
    assert aligned_error(cameras.camera_to_worlds.numpy().astype(np.float64), arc(10)) < 1e-5
    assert torch.allclose(cameras.camera_to_worlds[:, :, 1], torch.tensor(-arc(10)[:, :, 1]).float(), atol=1e-6)
    assert (cameras.fx[0].item(), cameras.fy[0].item(), cameras.cx[0].item(), cameras.cy[0].item()) == (
        300,
        301,
        158,
        121,
    )
    assert torch.allclose(cameras.distortion_params[0], torch.tensor([0.01, -0.02, 0, 0, 0.001, 0.002]))


def test_nerfstudio_reads_half_the_size(tmp_path):
    write_dataset(tmp_path, made(dict.fromkeys(NAMES, 100)))
    outputs = parsed(tmp_path, downscale_factor=4)
    assert outputs.cameras.fx[0].item() == 75
    assert outputs.image_filenames[0].parent.name == "images_4"
    with Image.open(outputs.image_filenames[0]) as image:
        assert image.size == (outputs.cameras.width[0].item(), outputs.cameras.height[0].item()) == (80, 60)


def test_nerfstudio_reads_the_points(tmp_path):
    pytest.importorskip(
        "open3d", reason="nerfstudio reads points by open3d", exc_type=ImportError
    )  # for want of libusb, say
    reconstruction = made(dict.fromkeys(NAMES, 100))
    write_dataset(tmp_path, reconstruction)
    outputs = parsed(tmp_path, load_3D_points=True)
    points = outputs.metadata["points3D_xyz"].numpy() / outputs.dataparser_scale
    assert np.allclose(points - outputs.dataparser_transform[:, 3].numpy(), reconstruction.points[:, :3], atol=1e-5)


def test_several_cameras_have_their_intrinsics_in_the_frames(tmp_path):
    reconstruction = made(dict.fromkeys(NAMES, 100))
    other = replace(CAMERA, width=240, height=320, fx=310.0)
    posed = {name: replace(image, camera=2 if name in "345" else 1) for name, image in reconstruction.posed.items()}
    posed["3.jpg"] = replace(posed["3.jpg"], camera=2)
    write_dataset(tmp_path, replace(reconstruction, cameras={1: CAMERA, 2: other}, posed=posed))
    cameras = parsed(tmp_path, train_split_fraction=1.0).cameras
    assert cameras.fx[:, 0].tolist() == [310.0 if k == 3 else 300.0 for k in range(10)]
    assert cameras.height[:, 0].tolist() == [320 if k == 3 else 240 for k in range(10)]


@pytest.mark.parametrize("factor", [1, 2])
def test_masks_are_written_for_every_size(tmp_path, factor):
    write_dataset(tmp_path, made(dict.fromkeys(NAMES, 100)), with_masks=True)
    outputs = parsed(tmp_path, downscale_factor=factor)
    with Image.open(outputs.mask_filenames[0]) as mask:
        assert mask.size == (320 // factor, 240 // factor)
        assert np.asarray(mask).mean() == pytest.approx(127.5, abs=1)


def test_smaller_copies_are_means_and_cut_off_a_remainder(tmp_path):
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (67, 131, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    reconstruction = made({"a.png": 10})
    small = replace(reconstruction, cameras={1: replace(CAMERA, width=131, height=67)})
    write_smaller(small, tmp_path, False, lambda done, total: None)
    found = np.asarray(Image.open(tmp_path / "images_2" / "a.png")).astype(float)
    expected = pixels[:66, :130].reshape(33, 2, 65, 2, 3).mean(axis=(1, 3))
    assert np.abs(found - expected).max() <= 0.51
    assert not (tmp_path / "images_4").exists()  # 16 pixels high


def test_points_are_a_coloured_ply(tmp_path):
    reconstruction = made(dict.fromkeys(NAMES, 100))
    write_points(reconstruction, tmp_path / "p.ply")
    cloud = trimesh.load(tmp_path / "p.ply")
    assert np.allclose(cloud.vertices, reconstruction.points[:, :3], atol=1e-6)
    assert np.array_equal(cloud.colors[:, :3], reconstruction.points[:, 3:6])


def test_a_reconstruction_comes_back_from_its_files(tmp_path):
    reconstruction = made(dict.fromkeys(NAMES, 100))
    write_reconstruction(reconstruction, tmp_path)
    read = read_reconstruction(tmp_path)
    assert (read.cameras, read.posed, read.matched) == (
        reconstruction.cameras,
        reconstruction.posed,
        reconstruction.matched,
    )
    assert np.array_equal(read.points, reconstruction.points)
    assert np.array_equal(read.views, reconstruction.views)
    assert len(read.views) > 100


def test_the_picture_shows_cameras_and_doubts(tmp_path):
    draw_capture(made(dict.fromkeys(NAMES, 100)), ["3.jpg"], tmp_path / "capture.png")
    pixels = np.asarray(Image.open(tmp_path / "capture.png").convert("RGB")).astype(int)
    assert (np.abs(pixels - [214, 39, 40]).sum(axis=2) < 30).any()  # red
    assert (np.abs(pixels - [31, 119, 180]).sum(axis=2) < 30).any()  # blue


def test_transforms_are_json_without_nan(tmp_path):
    write_transforms(made(dict.fromkeys(NAMES, 100)), tmp_path, False, {})
    values = json.loads((tmp_path / "transforms.json").read_text(), parse_constant=pytest.fail)
    assert values["orientation_override"] == "none"
    assert np.allclose(np.linalg.det(np.array(values["frames"][0]["transform_matrix"])), 1.0)


def test_frames_of_a_video_have_their_times(tmp_path):
    """Those between 2 and 11 seconds have poses; one that was left out does not count."""
    seconds = {name: 2.0 + k for k, name in enumerate(NAMES)} | {"left_out.jpg": 40.0}
    write_dataset(tmp_path, made(dict.fromkeys(NAMES, 100)), seconds=seconds)
    outputs = TimedDataParserConfig(data=tmp_path, train_split_fraction=1.0).setup().get_dataparser_outputs("train")
    assert outputs.cameras.times is not None
    torch.testing.assert_close(outputs.cameras.times[:, 0], torch.arange(10) / 9.0)


def test_photos_have_no_times(tmp_path):
    write_dataset(tmp_path, made(dict.fromkeys(NAMES, 100)))
    assert "time" not in json.loads((tmp_path / "transforms.json").read_text())["frames"][0]
