"""Photos as people have them, and their upright copies."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerf_plugins.captures import photos
from nerf_plugins.errors import InputError
from tests.captures.made_scene import arc, picture

UPRIGHT = picture(arc(3)[1], (120, 90), 110.0)
STORED = {1: UPRIGHT, 3: UPRIGHT[::-1, ::-1], 6: np.rot90(UPRIGHT), 8: np.rot90(UPRIGHT, -1)}
"""The pixels that a file holds for each EXIF orientation."""


def save(path: Path, pixels: np.ndarray, tags: dict[int, object] | None = None, **options) -> Path:
    exif = Image.Exif()
    for tag, value in (tags or {}).items():
        (exif.get_ifd(0x8769) if tag > 0x9000 else exif)[tag] = value
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("orientation", STORED)
def test_copies_are_upright(tmp_path, orientation):
    path = save(tmp_path / "a.jpg", STORED[orientation], {0x0112: orientation}, quality=98, subsampling=0)
    photo = photos.read_header(path)
    assert photo.size == (120, 90)
    photos.write_upright(photo, tmp_path / "copy.jpg")
    with Image.open(tmp_path / "copy.jpg") as copy:
        assert copy.getexif().get(0x0112, 1) == 1
        assert np.abs(np.asarray(copy).astype(float) - UPRIGHT).mean() < 6


def test_a_plain_photo_is_copied_byte_for_byte(tmp_path):
    path = save(tmp_path / "a.jpg", UPRIGHT, quality=50)
    photos.write_upright(photos.read_header(path), tmp_path / "copy.jpg")
    assert (tmp_path / "copy.jpg").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({0xA405: 28}, 28 / np.hypot(36, 24) * 150),  # 120 x 90 has the diagonal 150
        ({0x920A: 4.0, 0xA20E: 25.4 * 20, 0xA210: 2}, 80.0),  # 4 mm at 20 pixels a mm
        ({0x920A: 4.0, 0xA20E: 200.0, 0xA210: 3, 0xA002: 240}, 40.0),  # 20 pixels a mm of twice the size
        ({0x920A: 4.0}, None),
        ({0xA405: 0, 0x920A: 0.0}, None),
        ({}, None),
    ],
)
def test_focal_length_from_exif(tmp_path, tags, expected):
    found = photos.read_header(save(tmp_path / "a.jpg", UPRIGHT, tags)).focal
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-3))


def test_a_turned_photo_keeps_its_focal_length(tmp_path):
    path = save(tmp_path / "a.jpg", STORED[6], {0x0112: 6, 0xA405: 28})
    assert photos.read_header(path).focal == pytest.approx(28 / np.hypot(36, 24) * 150)


def test_photos_of_one_camera_and_lens_share_it(tmp_path):
    phone, wide = {0x0110: "Phone", 0x920A: 4.0, 0xA405: 28}, {0x0110: "Phone", 0x920A: 1.5, 0xA405: 13}
    for name, tags, size in [("a", phone, 1), ("b", wide, 1), ("c", phone, 1), ("d", phone, 2), ("e", {}, 1)]:
        save(tmp_path / f"{name}.jpg", np.kron(UPRIGHT, np.ones((size, size, 1), np.uint8)), tags)
    found = [photos.read_header(p) for p in photos.list_photos(tmp_path)]

    def names(sharing) -> list[str]:
        return ["".join(name[0] for name in group.names) for group in photos.group_cameras(found, sharing)]

    assert names("auto") == ["ac", "b", "d", "e"]
    assert names("one") == ["abce", "d"]
    assert names("each") == ["a", "b", "c", "d", "e"]
    assert [group.is_prior for group in photos.group_cameras(found, "auto")] == [True, True, True, False]
    assert photos.group_cameras(found, "auto")[-1].focal == pytest.approx(1.2 * 120)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "YCbCr", "RGBA", "LA"])
def test_odd_modes_are_read_as_shown(tmp_path, mode):
    suffix = ".tif" if mode in ("CMYK", "YCbCr") else ".png"
    image = Image.fromarray(UPRIGHT).convert(mode)
    image.save(tmp_path / f"a{suffix}")
    photo = photos.read_header(tmp_path / f"a{suffix}")
    assert photo.name == "a.png"
    photos.write_upright(photo, tmp_path / "copy.png")
    with Image.open(tmp_path / "copy.png") as copy:
        assert copy.mode == ("RGBA" if "A" in mode else "RGB")
        assert np.array_equal(np.asarray(copy.convert("RGB")), np.asarray(image.convert("RGB")))


def test_sixteen_bits_keep_the_upper_eight(tmp_path):
    values = (np.arange(128 * 128).reshape(128, 128) * 4).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    read = np.asarray(photos.read_upright(tmp_path / "a.png"))
    assert np.array_equal(read[..., 0], values >> 8)


def test_heic_is_read_upright(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    Image.fromarray(UPRIGHT).save(tmp_path / "a.heic", quality=95)
    photo = photos.read_header(tmp_path / "a.heic")
    assert (photo.name, photo.size, photo.is_plain) == ("a.jpg", (120, 90), False)
    assert np.abs(np.asarray(photos.read_upright(photo.path)).astype(float) - UPRIGHT).mean() < 16


def test_heic_without_its_reader_is_one_line(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(photos.importlib, "import_module", missing)
    (tmp_path / "a.heic").write_bytes(b"x")
    with pytest.raises(InputError, match=r"a.heic: HEIC needs pillow-heif: pip install pillow-heif.*JPEG"):
        photos.read_header(tmp_path / "a.heic")


def test_a_broken_photo_is_named(tmp_path):
    path = save(tmp_path / "a.jpg", UPRIGHT)
    path.write_bytes(path.read_bytes()[:2000])
    photo = photos.read_header(path)
    with pytest.raises(InputError, match=r"a.jpg: the image is broken"):
        photos.write_upright(photo, tmp_path / "copy.jpg")
    assert not (tmp_path / "copy.jpg").exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "has no photos"),
        (["a.txt"], "has no photos"),
        (["a.dng"], "raw files only .*develop"),
        (["inner/a.jpg"], "its folder inner has: give .*inner"),
        (["walk.MP4"], r"has no photos, but a video, walk\.MP4: give it, as .*walk\.MP4"),
        (["a.mov", "b.mp4", ".c.mp4"], r"but 2 videos \(a\.mov, \.\.\.\): give one of them, as .*a\.mov"),
        (["inner/walk.mp4"], r"its folder inner has a video, walk\.mp4: give .*inner.walk\.mp4"),
        (["a.jpg", "a.heic"], "a.heic and a.jpg have one name"),
        (["a 1.jpg", "a_1.jpg"], "a 1.jpg and a_1.jpg have one name"),
    ],
)
def test_folders_without_usable_photos(tmp_path, files, message):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=message):
        photos.list_photos(tmp_path)


def test_names_are_such_as_lists_of_pairs_bear():
    assert [photos.safe_name(Path(name)) for name in ("photo 1 (2).jpg", "#1.jpg", "été 狐.png")] == [
        "photo_1_(2)",
        "_1",
        "été_狐",
    ]


def test_blur_lowers_sharpness_and_size_does_not():
    import cv2

    grey = cv2.cvtColor(picture(arc(3)[1], (640, 480), 600.0), cv2.COLOR_RGB2GRAY)
    sharp = photos.sharpness(grey)
    assert photos.sharpness(cv2.blur(grey, (9, 9))) < 0.3 * sharp
    assert photos.sharpness((grey * 0.3).astype(np.uint8)) == pytest.approx(sharp, rel=0.1)
    larger = cv2.resize(grey, (1920, 1440), interpolation=cv2.INTER_NEAREST)
    assert photos.sharpness(larger) == pytest.approx(sharp, rel=0.05)
