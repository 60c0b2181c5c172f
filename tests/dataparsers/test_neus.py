from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.dataparsers.neus import NeusDataParserConfig, decompose
from nerf_plugins.errors import InputError

WIDTH, HEIGHT = 32, 24
K = np.array([[40.0, 0.0, 15.0], [0.0, 38.0, 11.0], [0.0, 0.0, 1.0]])
SCALE = np.diag([250.0, 250.0, 250.0, 1.0])
SCALE[:3, 3] = [10.0, -20.0, 600.0]


def rotation(seed: int, spread: float = 0.3) -> np.ndarray:
    """Near the identity: cameras that look roughly along world z."""
    q, r = np.linalg.qr(np.eye(3) + spread * np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def world_matrices(count: int) -> list[np.ndarray]:
    """OpenCV cameras three radii from the object, which they look at: K [R | -R c] with R's last row towards it."""
    matrices = []
    for i in range(count):
        r = rotation(i)
        position = SCALE[:3, 3] - 750.0 * r[2]
        matrix = np.eye(4)
        matrix[:3] = K @ np.concatenate([r, -r @ position[:, None]], axis=1)
        matrices.append(matrix)
    return matrices


def cameras(count: int, scale=SCALE) -> dict[str, np.ndarray]:
    named = {f"world_mat_{i}": matrix for i, matrix in enumerate(world_matrices(count))}
    return named | {f"scale_mat_{i}": scale.copy() for i in range(count)}


def write(
    place: Path,
    count: int = 10,
    matrices=None,
    size=(WIDTH, HEIGHT),
    masks: int | None = None,
    mask_size=None,
    suffix=".png",
) -> Path:
    """A scene; images have six digits and masks three, as DTU's have; the mask is the left half."""
    (place / "image").mkdir()
    for i in range(count):
        Image.new("RGB", size, (10 * i, 100, 200)).save(place / "image" / f"{i:06d}{suffix}")
    if masks is not None:
        (place / "mask").mkdir()
        w, h = mask_size or size
        mask = np.where(np.arange(w) < w // 2, 255, 0).astype(np.uint8) * np.ones((h, 1, 3), np.uint8)[..., 0]
        for i in range(masks):
            Image.fromarray(np.repeat(mask[..., None], 3, axis=2)).save(place / "mask" / f"{i:03d}.png")
    np.savez(place / "cameras_sphere.npz", **(cameras(count) if matrices is None else matrices))
    return place


def parse(place: Path, split: str = "train", **options):
    return NeusDataParserConfig(data=place, **options).setup().get_dataparser_outputs(split)


def fails(place: Path, message: str, **options) -> None:
    """Refuses, and in one line."""
    with pytest.raises(InputError, match=message) as error:
        parse(place, **options)
    assert "\n" not in str(error.value)


def test_a_point_is_at_the_same_pixel_through_the_matrices_and_through_nerfstudios_rays(tmp_path):
    """NeuS's pixel (u, v) is the centre of column u; nerfstudio's ray through it starts at u + 0.5 and hits the point."""
    outputs = parse(write(tmp_path), train_on_all=True)
    points = 0.2 * torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for i, world_mat in enumerate(world_matrices(10)):
        homogeneous = np.concatenate([points, np.ones((20, 1))], axis=1)
        x, y, depth = (homogeneous @ (world_mat @ SCALE)[:3].T).T
        assert (depth > 0).all()
        coords = torch.from_numpy(np.stack([y / depth, x / depth], axis=1) + 0.5).float()
        rays = outputs.cameras.generate_rays(torch.full((20, 1), i), coords=coords)
        offset = points.float() - rays.origins
        distance = offset.norm(dim=1, keepdim=True)
        torch.testing.assert_close(rays.origins + distance * rays.directions, points.float(), atol=2e-4, rtol=0)


def test_cameras_by_hand():
    """A camera at (0, 0, -3) that looks along +z with y down: nerfstudio's axes are x, -y, -z."""
    k, pose = decompose(np.concatenate([K, K @ [[0.0], [0.0], [3.0]]], axis=1))
    np.testing.assert_allclose(k, K, atol=1e-12)
    np.testing.assert_allclose(pose, [[1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, -3.0]], atol=1e-12)


@pytest.mark.parametrize("factor", [1.0, -1.0, 250.0])
def test_a_projections_factor_does_not_matter(factor):
    r, position = rotation(3, spread=2.0), np.array([0.3, -0.2, -2.0])
    projection = factor * K @ np.concatenate([r, -(r @ position)[:, None]], axis=1)
    k, pose = decompose(projection)
    np.testing.assert_allclose(k, K, atol=1e-9)
    np.testing.assert_allclose(pose[:, :3] * [1.0, -1.0, -1.0], r.T, atol=1e-12)
    np.testing.assert_allclose(pose[:, 3], position, atol=1e-12)


def test_half_a_pixel_is_added_to_the_principal_point(tmp_path):
    view = parse(write(tmp_path)).cameras[0]
    intrinsics = [float(x) for x in (view.fx, view.fy, view.cx, view.cy)]
    assert intrinsics == pytest.approx([40.0, 38.0, 15.5, 11.5], abs=1e-4)
    assert (int(view.width), int(view.height)) == (WIDTH, HEIGHT)


def test_the_transform_leads_back_to_the_world(tmp_path):
    """scene = s (T_R world + T_t) is the inverse of the scale matrix, and takes poses back; with a turned one too."""
    turned = SCALE.copy()
    turned[:3, :3] = 250.0 * rotation(5)
    outputs = parse(write(tmp_path, matrices=cameras(10, turned)), train_on_all=True)
    world = outputs.transform_poses_to_original_space(outputs.cameras.camera_to_worlds, "opengl").double().numpy()
    for i, world_mat in enumerate(world_matrices(10)):
        np.testing.assert_allclose(world[i, :, 3], -np.linalg.solve(world_mat[:3, :3], world_mat[:3, 3]), atol=0.02)
    point = np.array([0.1, -0.4, 0.7])
    transform = outputs.dataparser_transform.double().numpy()
    there = turned[:3, :3] @ point + turned[:3, 3]
    np.testing.assert_allclose(
        outputs.dataparser_scale * (transform[:, :3] @ there + transform[:, 3]), point, atol=1e-5
    )


def test_the_scene_is_the_unit_cube(tmp_path):
    assert parse(write(tmp_path)).scene_box.aabb.tolist() == [[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]


def test_splits(tmp_path):
    place = write(tmp_path)
    names = {split: [p.stem for p in parse(place, split).image_filenames] for split in ("train", "val", "test")}
    assert names["test"] == names["val"] == ["000000", "000008"]
    assert names["train"] == [f"{i:06d}" for i in (1, 2, 3, 4, 5, 6, 7, 9)]
    assert len(parse(place, train_on_all=True).image_filenames) == 10
    assert len(parse(place, "test", train_on_all=True).image_filenames) == 2
    fails(place, "holdout_every 1", holdout_every=1)
    fails(place, "split 'all'", split="all")


def test_jpeg_and_another_cameras_file(tmp_path):
    place = write(tmp_path, suffix=".jpg")
    larger = SCALE.copy()
    larger[:3, :3] *= 2.0
    np.savez(place / "cameras_large.npz", **cameras(10, larger))
    assert parse(place).dataparser_scale == pytest.approx(1.0 / 250.0)
    assert parse(place, cameras="cameras_large.npz").dataparser_scale == pytest.approx(1.0 / 500.0)


def manager(place: Path, test_mode="val", **options):
    return NerfDataManagerConfig(dataparser=NeusDataParserConfig(data=place, **options)).setup(
        device="cpu", test_mode=test_mode
    )


def test_masks_reach_training_as_alpha(tmp_path):
    """Views 1 ... are trained on with the mask as alpha; held-out ones are blended over the alpha colour."""
    datamanager = manager(write(tmp_path, masks=10), alpha_color="black")
    image = datamanager.train_dataset[0]["image"]
    assert image.shape == (HEIGHT, WIDTH, 4)
    torch.testing.assert_close(image[0, 0], torch.tensor([10.0, 100.0, 200.0, 255.0]) / 255.0)
    torch.testing.assert_close(image[0, -1], torch.tensor([10.0, 100.0, 200.0, 0.0]) / 255.0)
    held_out = datamanager.eval_dataset[1]["image"]
    torch.testing.assert_close(held_out[0, 0], torch.tensor([80.0, 100.0, 200.0]) / 255.0)
    assert held_out[0, -1].tolist() == [0.0, 0.0, 0.0]
    assert datamanager.train_dataset.metadata["alpha_color"] == [0.0, 0.0, 0.0]
    assert datamanager.next_train(600)[1]["image"].shape[1] == 4


def test_masks_are_scaled_with_the_images(tmp_path):
    parser = NeusDataParserConfig(data=write(tmp_path, masks=10))
    datamanager = NerfDataManagerConfig(dataparser=parser, camera_res_scale_factor=0.5).setup(device="cpu")
    image = datamanager.train_dataset[0]["image"]
    assert image.shape == (HEIGHT // 2, WIDTH // 2, 4)
    assert image[0, :, 3].mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("options", [{"masks": "ignore"}, {}])
def test_without_masks_images_are_rgb(tmp_path, options):
    datamanager = manager(write(tmp_path, masks=10 if options else None), **options)
    assert datamanager.train_dataset[0]["image"].shape[-1] == 3
    assert datamanager.train_dataset.metadata["alpha_color"] is None


def test_a_missing_matrix_is_named(tmp_path):
    matrices = cameras(10)
    del matrices["scale_mat_4"]
    fails(write(tmp_path, matrices=matrices), "scale_mat_4 is missing")


def test_the_last_world_matrix_is_missed_too(tmp_path):
    matrices = cameras(10)
    del matrices["world_mat_9"]
    fails(write(tmp_path, matrices=matrices), "world_mat_9 is missing")


def test_no_cameras_at_all(tmp_path):
    place = write(tmp_path, matrices={"world_mat_inv_0": np.eye(4)})
    fails(place, "has no world_mat_0")
    fails(place, "cameras_large.npz: there is no such file", cameras="cameras_large.npz")
    (place / "cameras_sphere.npz").write_bytes(b"PK nothing")
    fails(place, "not a readable archive")


def test_counts_that_differ(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    fails(write(tmp_path / "a", count=9, matrices=cameras(10)), "9 images, but cameras_sphere.npz has 10 cameras")
    place = write(tmp_path / "b", masks=8)
    fails(place, r"000008\.png: has no mask in .*mask; each image needs its mask, of the same name or number")
    assert len(parse(place, masks="ignore").image_filenames) == 8


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: m.__setitem__((slice(0, 3), 0), 0.0), "is singular"),
        (lambda m: m.__setitem__(slice(None), 0.0), "is singular"),
        (lambda m: m.__setitem__((0, 0), -250.0), "is mirrored"),
        (lambda m: m.__setitem__((0, 0), 300.0), "does more than scale all axes alike"),
        (lambda m: m.__setitem__((0, 0), np.nan), "has a value that is not finite"),
    ],
    ids=["singular", "zero", "mirrored", "uneven", "nan"],
)
def test_bad_scale_matrices(tmp_path, spoil, message):
    matrices = cameras(10)
    spoil(matrices["scale_mat_3"])
    fails(write(tmp_path, matrices=matrices), f"scale_mat_3 {message}")


def test_scale_matrices_that_differ_are_said(tmp_path, capsys):
    matrices = cameras(10)
    matrices["scale_mat_2"][0, 3] += 5.0
    outputs = parse(write(tmp_path, matrices=matrices), train_on_all=True)
    assert "scale_mat_2 differs from scale_mat_0" in " ".join(capsys.readouterr().out.split())
    np.savez(tmp_path / "cameras_equal.npz", **cameras(10))
    equal = parse(tmp_path, train_on_all=True, cameras="cameras_equal.npz").cameras.camera_to_worlds
    torch.testing.assert_close(outputs.cameras.camera_to_worlds, equal)


def test_equal_scale_matrices_are_not_mentioned(tmp_path, capsys):
    parse(write(tmp_path))
    assert "differs" not in capsys.readouterr().out


def test_a_singular_world_matrix(tmp_path):
    matrices = cameras(10)
    matrices["world_mat_1"][1] = matrices["world_mat_1"][0]
    fails(write(tmp_path, matrices=matrices), "world_mat_1")


def test_cameras_of_images_of_another_size(tmp_path):
    fails(write(tmp_path, size=(WIDTH // 4, HEIGHT // 4)), r"outside 000001\.png")


def test_a_mask_of_another_size_than_its_image(tmp_path):
    fails(
        write(tmp_path, masks=10, mask_size=(WIDTH, HEIGHT - 1)),
        r"mask.000\.png: is 32x23 pixels, but its image 000000\.png 32x24",
    )


@pytest.mark.parametrize(("number", "split"), [(0, "val"), (1, "train"), (5, "train")])
@pytest.mark.parametrize("length", [60, 10, 0])
def test_a_broken_image(tmp_path, number, split, length):
    place = write(tmp_path)
    path = place / "image" / f"{number:06d}.png"
    path.write_bytes(path.read_bytes()[:length])
    fails(place, rf"image .*{number:06d}\.png cannot be read", split=split)


def test_a_broken_mask(tmp_path):
    place = write(tmp_path, masks=10)
    path = place / "mask" / "003.png"
    path.write_bytes(path.read_bytes()[:60])
    fails(place, r"image .*003\.png cannot be read")


def test_folders_that_are_not_there(tmp_path):
    np.savez(tmp_path / "cameras_sphere.npz", **cameras(10))
    fails(tmp_path, "there is no folder image")


def test_a_scene_outside_the_unit_sphere(tmp_path):
    """A scale matrix whose sphere lies behind all cameras."""
    matrices = cameras(10)
    for i in range(10):
        matrices[f"scale_mat_{i}"][:3, 3] = [0.0, 0.0, -5000.0]
    with pytest.raises(InputError, match="no training camera looks at the scene box"):
        manager(write(tmp_path, matrices=matrices))


def test_bad_alpha_color(tmp_path):
    fails(write(tmp_path), "alpha_color 'pink'", alpha_color="pink")
