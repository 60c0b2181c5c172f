"""Photos and masks as they come, through the data manager: training, evaluation and rendering read the same pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerf_plugins.errors import InputError
from tests.data.datasets import H, W, load, picture, pose, rewrite, step, write_masks, write_transforms


def exif(orientation: int, stored: np.ndarray) -> Image.Image:
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    return image


def number(path: Path) -> int:
    return int(path.stem)


def check_pixels(data: Path, wanted, dataparser: str = "nerfstudio-data", most: float = 0.0) -> None:
    """All images of training and evaluation are ``wanted(k)``, in [0, 255]."""
    for mode in ("val", "test"):
        manager = load(data, dataparser, mode)
        step(manager)
        for dataset in (manager.train_dataset, manager.eval_dataset):
            for i, name in enumerate(dataset.image_filenames):
                found = 255 * dataset[i]["image"].numpy()
                assert found.shape == wanted(number(name)).shape
                assert np.abs(found - wanted(number(name))).mean() <= most + 1e-3


@pytest.mark.parametrize("mode", ["P", "CMYK", "1", "L", "I;16"])
def test_modes(tmp_path: Path, mode: str):
    """A palette of few colours, and colour spaces, in pixels that a viewer shows."""

    def save(k, rgb, disc):
        if mode == "P":
            return Image.fromarray(rgb).quantize(64)
        if mode == "I;16":
            return Image.fromarray(257 * rgb[..., 0].astype(np.uint16))
        return Image.fromarray(disc) if mode == "1" else Image.fromarray(rgb).convert(mode)

    def wanted(k):
        rgb, disc = picture(k)
        if mode == "P":
            return np.asarray(Image.fromarray(rgb).quantize(64).convert("RGB"))
        grey = {"1": 255 * disc, "L": rgb @ [0.299, 0.587, 0.114], "I;16": rgb[..., 0]}
        return rgb if mode == "CMYK" else np.repeat(grey[mode][..., None], 3, axis=-1)

    name = "images/{:03d}.tif" if mode == "CMYK" else "images/{:03d}.png"
    write_transforms(tmp_path, save, name=name)
    check_pixels(tmp_path, wanted, most=1.0)


def test_a_transparent_palette_is_alpha(tmp_path: Path):
    def save(k, rgb, disc):
        image = Image.fromarray(disc.astype(np.uint8)).convert("P")
        image.putpalette([0, 0, 0, 230, 180, 60])
        image.info["transparency"] = 0
        return image

    write_transforms(tmp_path, save)
    check_pixels(tmp_path, lambda k: np.where(picture(k)[1][..., None], [230, 180, 60, 255], 0))


@pytest.mark.parametrize("n", [12, 40])
def test_cut_out_and_whole_frames(tmp_path: Path, n: int, capsys):
    """Those without alpha are opaque, in training and evaluation, and it is said."""

    def alpha(k, disc):
        return 255 * disc.astype(np.uint8) if k % 3 == 0 else np.full_like(disc, 255, np.uint8)

    write_transforms(
        tmp_path, lambda k, p, d: Image.fromarray(np.dstack([p, alpha(k, d)])) if k % 3 == 0 else Image.fromarray(p), n
    )
    manager = load(tmp_path)
    assert step(manager)["image"].shape == (6001, 4)
    dataset = manager.train_dataset
    for i, name in enumerate(dataset.image_filenames):
        rgb, disc = picture(number(name))
        np.testing.assert_allclose(255 * dataset[i]["image"], np.dstack([rgb, alpha(number(name), disc)]), atol=1e-3)
    assert "images have no alpha channel" in capsys.readouterr().out
    manager = load(tmp_path, test_mode="test")
    assert {manager.eval_dataset[i]["image"].shape[-1] for i in range(len(manager.eval_dataset))} <= {3, 4}
    step(manager)


def test_a_photo_is_turned_if_its_camera_is(tmp_path: Path, capsys):
    """Orientation 6: the stored rows are the columns of the photo, from right to left."""
    write_transforms(tmp_path, lambda k, p, d: exif(6, p[::-1].swapaxes(0, 1)[::-1, ::-1]))
    check_pixels(tmp_path, lambda k: picture(k)[0])
    assert "11 of 11 images have an EXIF orientation: 11 are turned by it" in capsys.readouterr().out


def test_a_photo_stays_as_stored_if_its_camera_fits_that(tmp_path: Path, capsys):
    """COLMAP and others compute cameras for the stored pixels; a half turn among quarter turns is then none either."""
    write_transforms(tmp_path, lambda k, p, d: exif(3 if k == 5 else 6, p))
    check_pixels(tmp_path, lambda k: picture(k)[0])
    assert "11 are left as stored" in capsys.readouterr().out


def test_a_half_turn_alone_is_made(tmp_path: Path):
    write_transforms(tmp_path, lambda k, p, d: exif(3, p[::-1, ::-1]))
    check_pixels(tmp_path, lambda k: picture(k)[0])


def test_a_turned_photo_that_fits_neither_way_names_exif(tmp_path: Path):
    write_transforms(tmp_path, lambda k, p, d: exif(6, p[:-1]))
    message = r"\.png has 35x48 pixels as its EXIF orientation 6 turns it, but its camera 48x36"
    with pytest.raises(InputError, match=message):
        load(tmp_path)


def test_a_photo_that_lost_its_tag_is_told_to_be_turned(tmp_path: Path):
    write_transforms(tmp_path, lambda k, p, d: Image.fromarray(p.swapaxes(0, 1)))
    with pytest.raises(InputError, match=r"has 36x48 pixels, but its camera 48x36: the photo was turned"):
        load(tmp_path)


def test_a_folder_that_was_rounded_up(tmp_path: Path):
    """47 / 2 is 23, not 24; nerfstudio rounds down."""
    write_transforms(tmp_path, lambda k, p, d: Image.fromarray(p[:35, :47]), w=47, h=35)
    write_transforms(tmp_path, lambda k, p, d: Image.fromarray(p[::2, ::2]), name="images_2/{:03d}.png")
    write_transforms(tmp_path, lambda k, p, d: Image.fromarray(p[:35, :47]), w=47, h=35)
    with pytest.raises(
        InputError, match=r"has 24x18 pixels, but its camera 23x17: images_2 was rounded up.+--downscale-factor 1"
    ):
        load(tmp_path, downscale_factor=2)
    load(tmp_path, downscale_factor=1)


def halved(k: int) -> int:
    return 1 if k % 2 else 2


def write_two_sizes(folder: Path) -> dict:
    meta = write_transforms(folder, lambda k, p, d: Image.fromarray(p[:: halved(k), :: halved(k)]))
    for k, frame in enumerate(meta["frames"]):
        s = halved(k)
        frame.update(w=W // s, h=H // s, fl_x=50 / s, fl_y=50 / s, cx=W / 2 / s, cy=H / 2 / s)
    return rewrite(folder, {"frames": meta["frames"]})


@pytest.mark.parametrize("masks", ["of the photos' sizes", "all large"])
def test_masks_of_photos_of_two_sizes(tmp_path: Path, masks: str):
    """Drawn pixels are in the disc, whose colour they have, and large masks are scaled."""
    meta = write_two_sizes(tmp_path)
    write_masks(tmp_path, meta, lambda d: Image.fromarray(d))
    if masks == "of the photos' sizes":
        for k, frame in enumerate(meta["frames"]):
            Image.fromarray(picture(k)[1][:: halved(k), :: halved(k)]).save(tmp_path / frame["mask_path"])
    manager = load(tmp_path)
    colors = 255 * step(manager)["image"]
    is_disc = ((colors - colors.new_tensor([230, 180, 60])).abs() < 1e-2).all(dim=1)
    assert is_disc.float().mean() > (0.9999 if masks == "of the photos' sizes" else 0.9)
    np.testing.assert_array_equal(step(manager)["mask"], True)


def test_held_out_photos_of_other_sizes(tmp_path: Path):
    """All training photos have one size; nerfstudio looks at these only."""
    meta = write_transforms(tmp_path, n=12, val_filenames=["images/000.png", "images/001.png"])
    meta["train_filenames"] = [frame["file_path"] for frame in meta["frames"][2:]]
    for frame in meta["frames"]:
        frame.update(w=W, h=H, fl_x=50, fl_y=50, cx=24, cy=18)
    meta["frames"][1].update(w=W // 2, h=H // 2, fl_x=25, fl_y=25, cx=12, cy=9)
    Image.fromarray(picture(1)[0][::2, ::2]).save(tmp_path / "images/001.png")
    rewrite(tmp_path, {k: v for k, v in meta.items() if k not in ("w", "h", "fl_x", "fl_y", "cx", "cy")})
    step(load(tmp_path))


def test_masks_are_what_is_sampled(tmp_path: Path, capsys):
    """A palette with white first, as painting programs write it; all photos' discs are 314 of 1728 pixels, but for rounding."""

    def mask(disc: np.ndarray) -> Image.Image:
        image = Image.fromarray((~disc).astype(np.uint8)).convert("P")
        image.putpalette([255, 255, 255, 0, 0, 0])
        return image

    write_masks(tmp_path, write_transforms(tmp_path), mask)
    manager = load(tmp_path)
    np.testing.assert_allclose(255 * step(manager)["image"], [[230, 180, 60]] * 6001, atol=1e-3)
    assert "81.9 % of the pixels are masked out" in capsys.readouterr().out


def test_masks_of_few_pixels_are_enough_and_said(tmp_path: Path, capsys):
    few = np.pad(np.full((4, 4), 255, np.uint8), ((0, H - 4), (0, W - 4)))
    write_masks(tmp_path, write_transforms(tmp_path), lambda d: Image.fromarray(few))
    indices = step(load(tmp_path))["indices"]
    assert indices.shape == (6001, 3)
    assert indices[:, 1:].max() == 3
    assert "99.1 % of the pixels are masked out" in capsys.readouterr().out


def test_masks_that_leave_nothing_out_are_said(tmp_path: Path, capsys):
    write_masks(tmp_path, write_transforms(tmp_path), lambda d: Image.fromarray(np.full((H, W), 255, np.uint8)))
    step(load(tmp_path))
    assert (
        "0 % of the pixels are masked out (masks of 11 images); almost nothing: is what is used white?"
        in capsys.readouterr().out
    )


def test_an_empty_mask_names_its_photo(tmp_path: Path):
    meta = write_transforms(tmp_path)
    write_masks(tmp_path, meta, lambda d: Image.fromarray(d))
    Image.new("L", (W, H)).save(tmp_path / "masks/004.png")
    with pytest.raises(InputError, match=r"mask .*masks/004\.png leaves nothing of image .*images/004\.png"):
        load(tmp_path)


@pytest.mark.parametrize("dataparser", ["nerfstudio-data", "instant-ngp-data"])
def test_a_frame_without_a_mask_is_named(tmp_path: Path, dataparser: str):
    made = iter([True] * 5 + [False] + [True] * 6)
    write_masks(tmp_path, write_transforms(tmp_path), lambda d: Image.fromarray(d) if next(made) else None)
    with pytest.raises(InputError, match=r"images/005\.png has no mask_path, 11 of 12 frames have one"):
        load(tmp_path, dataparser)


def test_a_mask_that_is_not_there_is_named(tmp_path: Path):
    write_masks(tmp_path, write_transforms(tmp_path), lambda d: Image.fromarray(d))
    (tmp_path / "masks/007.png").unlink()
    with pytest.raises(InputError, match=r"mask .*masks/007\.png of 007\.png does not exist"):
        load(tmp_path)


def write_neus(folder: Path, mask, name="{:06d}", mask_name=None, n: int = 12) -> Path:
    """Camera k belongs to the k-th picture."""
    (folder / "image").mkdir()
    (folder / "mask").mkdir()
    k_matrix = np.array([[50, 0, W / 2, 0], [0, 50, H / 2, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    cameras = {}
    for k in range(n):
        rgb, disc = picture(k)
        Image.fromarray(rgb).save(folder / "image" / f"{name.format(k)}.png")
        mask(disc).save(folder / "mask" / f"{(mask_name or name).format(k)}.png")
        cameras[f"world_mat_{k}"] = k_matrix @ np.linalg.inv(pose(k, n) @ np.diag([1, -1, -1, 1]))
        cameras[f"scale_mat_{k}"] = np.eye(4)
    np.savez(folder / "cameras_sphere.npz", **cameras)
    return folder


def dark_red(disc: np.ndarray) -> Image.Image:
    image = Image.fromarray(disc.astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0])
    return image


@pytest.mark.parametrize(
    ("mask", "name", "mask_name"),
    [
        (lambda d: Image.fromarray(d.astype(np.uint8)), "{:06d}", "{:03d}"),
        (dark_red, "{:06d}", "{:03d}"),
        (Image.fromarray, "{:06d}", "{}"),
        (Image.fromarray, "{}", "{}"),
        (Image.fromarray, "{:06d}", "{:06d}_mask"),
        (Image.fromarray, "view{}", "mask_view{}"),
    ],
    ids=["0 and 1", "a dark palette", "mask's numbers", "unpadded", "an addition", "an addition before"],
)
def test_neus_masks_and_cameras_belong_to_their_images(tmp_path: Path, mask, name: str, mask_name: str):
    manager = load(write_neus(tmp_path, mask, name, mask_name), "neus-data", train_on_all=True)
    dataset = manager.train_dataset
    for i, path in enumerate(dataset.image_filenames):
        k = int("".join(c for c in path.stem if c.isdigit()))
        rgb, disc = picture(k)
        np.testing.assert_allclose(255 * dataset[i]["image"], np.dstack([rgb, 255 * disc]), atol=1e-3)
        np.testing.assert_allclose(dataset.cameras.camera_to_worlds[i], pose(k, 12)[:3], atol=1e-5)


def test_neus_names_that_do_not_tell_are_said(tmp_path: Path, capsys):
    """Counted from 3: the cameras' order can only be guessed; the other guess is an option."""
    write_neus(tmp_path, Image.fromarray)
    for folder in ("image", "mask"):
        for k in range(12):
            (tmp_path / folder / f"{k:06d}.png").rename(tmp_path / folder / f"{k + 3}.png")
    manager = load(tmp_path, "neus-data", train_on_all=True)
    assert [p.stem for p in manager.train_dataset.image_filenames] == [str(k + 3) for k in range(12)]
    out = capsys.readouterr().out
    assert "camera 0 is taken to be that of 3.png" in out
    assert "it is 10.png's: give --image-order strings" in out
    manager = load(tmp_path, "neus-data", train_on_all=True, image_order="strings")
    assert [p.stem for p in manager.train_dataset.image_filenames][:2] == ["10", "11"]


def test_llff_images_are_those_of_their_poses(tmp_path: Path):
    (tmp_path / "images").mkdir()
    rows = []
    for k in range(12):
        Image.fromarray(picture(k)[0]).save(tmp_path / "images" / f"{k}.png")
        matrix = np.zeros((3, 5))
        matrix[:, 0], matrix[:, 1], matrix[:, 2] = [0, -1, 0], [1, 0, 0], [0, 0, 1]
        matrix[:, 3], matrix[:, 4] = [0.1 * k, 0, 0], [H, W, 50]
        rows.append([*matrix.flatten(), 2.0, 8.0])
    np.save(tmp_path / "poses_bounds.npy", np.array(rows))
    dataset = load(tmp_path, "llff-data").train_dataset
    x = dataset.cameras.camera_to_worlds[:, 0, 3].numpy()
    numbers = [number(path) for path in dataset.image_filenames]
    np.testing.assert_allclose(
        np.diff(x), 0.1 * np.diff(numbers) / 1.5, atol=1e-5
    )  # 0.75 times the nearest depth, 2, is 1


def test_a_path_with_everything_in_it(tmp_path: Path, capsys):
    folder = tmp_path / "path [x] (été) 狐"
    write_transforms(folder, name="images/фото № {:03d} 100%.png")
    step(load(folder))
    rewrite(folder, write_transforms(folder, n=8, name="images/фото {:03d}.png"))
    step(load(folder))
    assert "evaluation shows фото 004.png" in capsys.readouterr().out
    (folder / "images/фото 003.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"path \[x\] \(été\) 狐/images/фото 003\.png cannot be read"):
        load(folder)
