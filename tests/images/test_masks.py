"""One mask, stored in every way that a tool can store it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerf_plugins.errors import InputError
from nerf_plugins.images.masks import read_alpha, read_mask, same_shape

H, W = 20, 30
Y, X = np.mgrid[0:H, 0:W]
DISC = (X - 14) ** 2 + (Y - 9) ** 2 < 49
PHOTO = Path("photo.png")


def read(path: Path, size=(W, H)) -> np.ndarray:
    return read_mask(path, size, PHOTO)


def indexed(index: np.ndarray, *colors: list[int], mode: str = "P") -> Image.Image:
    image = Image.fromarray(index.astype(np.uint8)).convert("P")
    image.putpalette([value for color in colors for value in color] + [0] * (768 - 3 * len(colors)))
    return image.convert(mode)


def painted(inside, outside, dtype=np.uint8) -> Image.Image:
    inside, outside = np.array(inside, dtype), np.array(outside, dtype)
    return Image.fromarray(np.where(DISC[..., None], inside, outside).squeeze().astype(dtype))


MASKS = {
    "0 and 255": painted([255], [0]),
    "0 and 1": painted([1], [0]),
    "0 and 100": painted([100], [0]),
    "labels": Image.fromarray((DISC * (1 + X % 5)).astype(np.uint8)),
    "one bit": Image.fromarray(DISC),
    "16 bits": painted([65535], [0], np.uint16),
    "16 bits, 0 and 1": painted([1], [0], np.uint16),
    "16 bits, 0 and 255": painted([255], [0], np.uint16),
    "32 bits": painted([255], [0], np.int32),
    "floats": painted([1.0], [0.0], np.float32),
    "floats to 255": painted([255.0], [0.0], np.float32),
    "RGB": painted([255, 255, 255], [0, 0, 0]),
    "RGB, 0 and 1": painted([1, 1, 1], [0, 0, 0]),
    "a dark colour": painted([64, 0, 0], [0, 0, 0]),
    "several colours": Image.fromarray((DISC[..., None] * np.stack([64 + 64 * (X % 3), 128 * (Y % 2), 0 * X], -1)).astype(np.uint8)),
    "palette, black first": indexed(DISC, [0, 0, 0], [255, 255, 255]),
    "palette, white first": indexed(~DISC, [255, 255, 255], [0, 0, 0]),
    "palette, a dark colour": indexed(DISC, [0, 0, 0], [128, 0, 0]),
    "white, black is transparent": painted([255, 255, 255, 255], [0, 0, 0, 0]),
    "white everywhere, alpha": painted([255, 255, 255, 255], [255, 255, 255, 0]),
    "black everywhere, alpha": painted([0, 0, 0, 255], [0, 0, 0, 0]),
    "RGBA, opaque": painted([255, 255, 255, 255], [0, 0, 0, 255]),
    "LA, opaque": painted([255, 255, 255, 255], [0, 0, 0, 255]).convert("LA"),
    "LA": painted([255, 255, 255, 255], [0, 0, 0, 0]).convert("LA"),
    "cut-out": Image.fromarray(np.dstack([8 * X, 10 * Y, 0 * X, 255 * DISC]).astype(np.uint8)),
    "CMYK": painted([255, 255, 255], [0, 0, 0]).convert("CMYK"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MASKS)
def test_the_disc_is_in(tmp_path: Path, kind: str):
    path = tmp_path / ("a.tif" if MASKS[kind].mode in ("F", "I", "CMYK") else "a.png")
    MASKS[kind].save(path)
    np.testing.assert_array_equal(read(path), DISC)
    assert set(np.unique(read_alpha(path, (W, H), PHOTO))) == {0, 255}


def test_a_transparent_index(tmp_path: Path):
    indexed(DISC, [255, 255, 255], [0, 0, 0]).save(tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(read(tmp_path / "a.png"), DISC)


def test_white_and_black_beside_transparent(tmp_path: Path):
    """A disc in a frame: of the opaque part white is in."""
    frame = (X > 3) & (X < 27)
    rgb = np.where(DISC[..., None], 255, 0)
    Image.fromarray(np.dstack([rgb, rgb, rgb, np.where(frame, 255, 0)]).astype(np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png"), DISC & frame)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
@pytest.mark.parametrize("inside", [[255, 255, 255], [160, 0, 0]])
def test_noise_of_compression_is_no_label(tmp_path: Path, name: str, inside: list[int]):
    painted(inside, [0, 0, 0]).save(tmp_path / name, quality=60)
    wrong = read(tmp_path / name) != DISC
    assert wrong.mean() < 0.08  # the edge is 44 of 600 pixels
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (H, W), np.uint8)).save(tmp_path / name)
    assert not read(tmp_path / name).any()


def test_soft_edges_stay_soft(tmp_path: Path):
    ramp = np.repeat(np.linspace(0, 255, W).round().astype(np.uint8)[None], H, axis=0)
    for values, name in [
        (ramp, "a.png"),
        (257 * ramp.astype(np.uint16), "b.png"),
        (ramp.astype(np.float32) / 255, "c.tif"),
    ]:
        Image.fromarray(values).save(tmp_path / name)
        np.testing.assert_array_equal(read_alpha(tmp_path / name, (W, H), PHOTO), ramp)
        np.testing.assert_array_equal(read(tmp_path / name), ramp >= 128)


@pytest.mark.parametrize("value", [0, 255])
def test_all_and_nothing(tmp_path: Path, value: int):
    Image.fromarray(np.full((H, W), value, np.uint8)).save(tmp_path / "a.png")
    assert (read(tmp_path / "a.png") == (value > 0)).all()


def test_another_resolution_is_scaled_and_another_shape_refused(tmp_path: Path):
    MASKS["0 and 255"].save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png", (2 * W, 2 * H)), DISC.repeat(2, 0).repeat(2, 1))
    assert read(tmp_path / "a.png", (W // 2, H // 2)).shape == (H // 2, W // 2)
    with pytest.raises(
        InputError, match=r"a\.png has 30x20 pixels, but its image photo\.png 30x30: both must have one shape"
    ):
        read(tmp_path / "a.png", (W, W))


def test_shapes():
    assert same_shape((271, 481), (135, 240))
    assert same_shape((136, 241), (271, 481))
    assert not same_shape((32, 24), (32, 23))
    assert not same_shape((48, 36), (36, 48))


def test_a_mask_turns_with_its_photo(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    MASKS["0 and 255"].save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path / "a.png", (H, W)), DISC.T[:, ::-1])
    np.testing.assert_array_equal(read(tmp_path / "a.png", (W, H)), DISC)


def test_a_broken_one_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"mask .*a\.png of photo\.png does not exist"):
        read(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"mask .*a\.png of photo\.png cannot be read \(.+\): replace it"):
        read(tmp_path / "a.png")
    Image.fromarray(np.full((H, W), np.nan, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="its values reach from nan"):
        read(tmp_path / "a.tif")
