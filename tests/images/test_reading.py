"""One picture, stored in every way that a file can store it."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerf_plugins.errors import InputError
from nerf_plugins.images.reading import as_shown, read_header, read_image

H, W = 6, 9
Y, X = np.mgrid[0:H, 0:W]
RGB = np.stack([20 * X, 40 * Y, 90 + 0 * X], axis=-1).astype(np.uint8)
GREY = (25 * X + 5 * Y).astype(np.uint8)
DISC = (X - 4) ** 2 + (Y - 3) ** 2 < 6


def png16(path: Path, values: np.ndarray, transparent: list[int] | None = None) -> Path:
    """A PNG of 16 bits a channel, which Pillow does not write: (h, w, channels)."""
    height, width, channels = values.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0))
    if transparent is not None:
        content += chunk(b"tRNS", np.array(transparent, ">u2").tobytes())
    path.write_bytes(content + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def save(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def grey_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_rgb_and_grey(tmp_path: Path, name: str):
    np.testing.assert_array_equal(read_image(save(tmp_path / name, Image.fromarray(RGB))), RGB)
    np.testing.assert_array_equal(read_image(save(tmp_path / name, Image.fromarray(GREY))), grey_rgb(GREY))


def test_one_bit(tmp_path: Path):
    path = save(tmp_path / "a.png", Image.fromarray(DISC))
    np.testing.assert_array_equal(read_image(path), grey_rgb(255 * DISC.astype(np.uint8)))


def test_palette(tmp_path: Path):
    """Index 0 is red and 1 a dark blue."""
    image = Image.fromarray(DISC.astype(np.uint8)).convert("P")
    image.putpalette([200, 0, 0, 0, 0, 60])
    wanted = np.where(DISC[..., None], [0, 0, 60], [200, 0, 0])
    for name in ("a.png", "a.gif", "a.tif"):
        np.testing.assert_array_equal(read_image(save(tmp_path / name, image)), wanted)


@pytest.mark.parametrize("transparency", [0, b"\x00\xff"], ids=["an index", "a table"])
def test_transparent_palette(tmp_path: Path, transparency):
    image = Image.fromarray(DISC.astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 230, 180, 60])
    path = save(tmp_path / "a.png", image, transparency=transparency)
    shown = read_image(path)
    np.testing.assert_array_equal(shown[..., 3], np.where(DISC, 255, 0))
    assert (shown[DISC] == [230, 180, 60, 255]).all()
    assert read_header(path).has_alpha


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_channels(tmp_path: Path, mode: str):
    alpha = np.where(DISC, 255, 0).astype(np.uint8)
    rgb = grey_rgb(GREY) if mode == "LA" else RGB
    for name in ("a.png", "a.tif"):
        path = save(tmp_path / name, Image.fromarray(np.dstack([rgb, alpha])).convert(mode))
        np.testing.assert_array_equal(read_image(path), np.dstack([rgb, alpha]))


@pytest.mark.parametrize("mode", ["PA", "La", "RGBa", "HSV", "RGBX"])
def test_modes_of_rare_formats(mode: str):
    """Which Pillow has, but writes to none of its formats."""
    rgba = Image.fromarray(np.dstack([grey_rgb(GREY), np.where(DISC, 255, 0).astype(np.uint8)]))
    via = {"PA": "P", "La": "LA", "HSV": "RGB"}.get(mode, "RGBA")
    image = rgba.convert("RGB").convert("P").convert("PA") if mode == "PA" else rgba.convert(via).convert(mode)
    if mode == "PA":
        image.putalpha(rgba.getchannel("A"))
    shown = np.asarray(as_shown(image))
    assert np.abs(shown[DISC][:, :3].astype(int) - GREY[DISC][:, None]).max() <= (40 if mode == "PA" else 2)
    if mode in ("PA", "La", "RGBa"):
        np.testing.assert_array_equal(shown[..., 3], np.where(DISC, 255, 0))


def test_one_transparent_colour(tmp_path: Path):
    rgb = np.where(DISC[..., None], RGB, [255, 0, 255]).astype(np.uint8)
    path = save(tmp_path / "a.png", Image.fromarray(rgb), transparency=(255, 0, 255))
    np.testing.assert_array_equal(read_image(path), np.dstack([rgb, np.where(DISC, 255, 0)]))
    grey = np.where(DISC, GREY, 7).astype(np.uint8)
    path = save(tmp_path / "b.png", Image.fromarray(grey), transparency=7)
    np.testing.assert_array_equal(read_image(path)[..., 3], np.where(grey == 7, 0, 255))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
@pytest.mark.parametrize(("name", "mean"), [("a.tif", 2.0), ("a.jpg", 12.0)])
def test_other_colour_spaces(tmp_path: Path, mode: str, name: str, mean: float):
    shown = read_image(save(tmp_path / name, Image.fromarray(RGB).convert(mode)))
    assert shown.shape == RGB.shape
    assert np.abs(shown.astype(int) - RGB).mean() < mean


def test_lab(tmp_path: Path):
    """Middle grey is L = 53.6, a = b = 0 and pure red L = 53.2, a = 80.1, b = 67.2 (D65); Pillow's D50 white is near enough."""
    lab = np.zeros((1, 2, 3), np.uint8)
    lab[0, 0] = [137, 0, 0]
    lab[0, 1] = [136, 80, 67]
    shown = read_image(save(tmp_path / "a.tif", Image.frombytes("LAB", (2, 1), lab.tobytes())))
    assert np.abs(shown[0, 0].astype(int) - 128).max() <= 3
    assert np.abs(shown[0, 1].astype(int) - [255, 0, 0]).max() <= 25


def test_sixteen_bits_of_every_kind(tmp_path: Path):
    """A channel's 16 bits are 257 times its 8."""
    rgb16, grey16, alpha16 = (
        257 * v.astype(np.uint16) for v in (RGB, GREY[..., None], np.where(DISC, 255, 0)[..., None])
    )
    for values, wanted in [
        (grey16, grey_rgb(GREY)),
        (rgb16, RGB),
        (np.dstack([rgb16, alpha16]), np.dstack([RGB, np.where(DISC, 255, 0)])),
        (np.dstack([grey16, alpha16]), np.dstack([grey_rgb(GREY), np.where(DISC, 255, 0)])),
    ]:
        np.testing.assert_array_equal(read_image(png16(tmp_path / "a.png", values)), wanted)
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.tif", Image.fromarray(grey16[..., 0]))), grey_rgb(GREY))


def test_sixteen_bits_with_a_transparent_colour(tmp_path: Path):
    values = np.where(DISC[..., None], 257 * RGB.astype(np.uint16), [65535, 300, 65535])
    shown = read_image(png16(tmp_path / "a.png", values, [65535, 300, 65535]))
    np.testing.assert_array_equal(shown[..., 3], np.where(DISC, 255, 0))
    grey = np.where(DISC, 257 * GREY.astype(np.uint16), 5000)[..., None]
    shown = read_image(png16(tmp_path / "a.png", grey, [5000]))
    np.testing.assert_array_equal(shown[..., 3], np.where(DISC, 255, 0))
    np.testing.assert_array_equal(shown[DISC][:, 0], GREY[DISC])


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ((GREY / 255).astype(np.float32), GREY),
        (GREY.astype(np.float32), GREY),
        (257 * GREY.astype(np.float32), GREY),
        (GREY.astype(np.int32), GREY),
        (257 * GREY.astype(np.int32), GREY),
    ],
    ids=["float to 1", "float to 255", "float to 65535", "int to 255", "int to 65535"],
)
def test_numbers(tmp_path: Path, values: np.ndarray, wanted: np.ndarray):
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.tif", Image.fromarray(values))), grey_rgb(wanted))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 1e6])
def test_numbers_without_a_range(tmp_path: Path, value: float):
    values = np.ones((H, W), np.float32)
    values[2, 3] = value
    with pytest.raises(InputError, match=r"image .*a\.tif cannot be read \(its values reach from"):
        read_image(save(tmp_path / "a.tif", Image.fromarray(values)))


AS_SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
"""EXIF 2.32, table of Orientation: which side of the picture the first row and column are."""


@pytest.mark.parametrize("orientation", AS_SHOWN)
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_exif_orientation(tmp_path: Path, orientation: int, name: str):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "a.webp" else {}
    path = save(tmp_path / name, Image.fromarray(RGB), exif=exif, **options)
    np.testing.assert_array_equal(read_image(path), AS_SHOWN[orientation](RGB))
    np.testing.assert_array_equal(read_image(path, as_stored=True), RGB)
    header = read_header(path)
    assert header.stored_size == (W, H)
    assert header.size == ((H, W) if orientation > 4 else (W, H))


def test_exif_without_sense_is_no_turn(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 77
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", Image.fromarray(RGB), exif=exif)), RGB)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.gif", "a.bmp"])
@pytest.mark.parametrize("kind", ["truncated", "a header", "empty", "text"])
def test_a_broken_file_is_named(tmp_path: Path, name: str, kind: str):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    path = save(tmp_path / name, Image.fromarray(noise))
    whole = path.read_bytes()
    path.write_bytes(
        {"truncated": whole[: len(whole) // 2], "a header": whole[:10], "empty": b"", "text": b"x" * 99}[kind]
    )
    with pytest.raises(InputError, match=rf"image .*{name} cannot be read \(.+\): replace it") as error:
        read_image(path)
    assert "\n" not in str(error.value)


def test_what_is_no_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere\.png does not exist"):
        read_image(tmp_path / "nowhere.png")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match=r"a\.png is a folder"):
        read_image(tmp_path / "a.png")
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    with pytest.raises(InputError, match=r"a\.heic cannot be read \(HEIC\): convert it"):
        read_header(tmp_path / "a.heic")
