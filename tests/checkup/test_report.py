"""`nerf-plugins doctor DATA` on small datasets, photos and what is neither."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from nerf_plugins import cli
from nerf_plugins.captures.video import Footage
from nerf_plugins.checkup import advice, report
from nerf_plugins.checkup.footage import footage_remarks
from nerf_plugins.errors import InputError
from tests.captures.reconstructions import made
from tests.captures.test_video import write_video
from tests.captures.test_writing import write_dataset
from tests.data.datasets import H, W, as_rgb, picture, rewrite, write_masks, write_transforms
from tests.dataparsers.test_llff import rows
from tests.dataparsers.test_llff import write as write_llff
from tests.test_docs import check_ns_train, check_ours


def odd(found: report.Report) -> str:
    return "\n".join(remark.line for remark in found.remarks if remark.is_odd)


def doctor(*args: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["doctor", *map(str, args)])
    return int(exit_.value.code or 0)


def transparent(k: int, rgb: np.ndarray, disc: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([rgb, 255 * disc.astype(np.uint8)]))


def write_ply(path, points):
    header = f"ply\nformat ascii 1.0\nelement vertex {len(points)}\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    path.write_text(header + "".join(f"{x} {y} {z}\n" for x, y, z in points))


def test_a_dataset_is_reported_on_and_its_cameras_drawn(tmp_path, capsys):
    data = tmp_path / "été [x]"
    write_transforms(data, n=20, ply_file_path="sparse.ply")
    write_ply(data / "sparse.ply", np.random.default_rng(0).uniform(-0.5, 0.5, (300, 3)))
    assert doctor(data, "--picture", tmp_path / "cameras.png") == 0
    out = capsys.readouterr().out
    assert f"{data}: nerfstudio-data, 18 photos to train on, 2 held out" in out
    assert "Sizes: 20 of 48x36 pixels." in out
    assert "Depth of the sparse points: 1 % nearer than " in out
    assert f"--data '{data}' nerfstudio-data" in out
    assert Image.open(tmp_path / "cameras.png").size[0] > 1000
    assert doctor(data, "--picture", tmp_path / "cameras.png") == 1
    assert "is not overwritten" in capsys.readouterr().err


def test_depths_are_in_trainings_units(tmp_path):
    """The cameras stand at 3 from the origin, where all points are; nerfstudio scales the farthest coordinate to 1."""
    write_transforms(tmp_path, n=20, ply_file_path="sparse.ply")
    write_ply(tmp_path / "sparse.ply", np.zeros((4, 3)))
    found = report.examine(tmp_path, tmp_path / "cameras.png")
    (line,) = (remark.line for remark in found.remarks if remark.line.startswith("Depth"))
    scale = float(
        next(r.line for r in found.remarks if "one unit" in r.line).split("one unit of the data is ")[1].split()[0]
    )
    assert f"half nearer than {3 * scale:.2g}" in line


def test_json_holds_all_of_it(tmp_path, capsys):
    write_transforms(tmp_path)
    assert doctor(tmp_path, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["title"].endswith("nerfstudio-data, 11 photos to train on, 1 held out")
    assert {"line": "12 photos are few: twenty or more see most scenes well.", "is_odd": True} in answer["remarks"]
    assert answer["advice"][0]["command"].startswith("ns-train photos-nerf-custom --data ")
    assert answer["picture"].endswith("_cameras.png")


CASES = {
    "a place": (lambda d: write_transforms(d), ["photos-nerf-custom", "neus-hash-custom"]),
    "cut out": (lambda d: write_transforms(d, transparent), ["nerf-hash-custom", "neus-hash-custom"]),
    "moving": (lambda d: with_times(d), ["moving-nerf-custom"]),
    "forward-facing": (lambda d: write_llff(d, rows()), ["photos-nerf-custom"]),
}


def with_times(folder):
    meta = write_transforms(folder)
    for k, frame in enumerate(meta["frames"]):
        frame["time"] = k / 11
    rewrite(folder, meta)


@pytest.mark.parametrize("case", CASES)
def test_the_advice_can_be_called(tmp_path, case):
    write, methods = CASES[case]
    write(tmp_path)
    found = report.examine(tmp_path, tmp_path / "cameras.png")
    words = [shlex.split(item.command) for item in found.advice]
    assert [line[1] for line in words] == methods
    for line in words:
        check_ns_train(line[1:])


def test_masks_copies_and_a_camera_that_looks_away_are_said(tmp_path):
    meta = write_transforms(tmp_path, as_rgb)
    write_masks(tmp_path, meta, lambda disc: Image.fromarray(255 * disc.astype(np.uint8)))
    matrix = np.array(meta["frames"][3]["transform_matrix"])
    matrix[:, [0, 2]] *= -1
    meta["frames"][3]["transform_matrix"] = matrix.tolist()
    rewrite(tmp_path, meta)
    (tmp_path / "images/005.png").write_bytes((tmp_path / "images/006.png").read_bytes())
    found = report.examine(tmp_path, tmp_path / "cameras.png")
    assert "look away from what the others see (003.png)" in odd(found)
    assert "1 photo is a copy of another file" in odd(found)
    assert any("masked out (masks of 11 images)" in remark.line for remark in found.remarks)


def test_all_broken_photos_are_named_at_once(tmp_path, capsys):
    write_transforms(tmp_path)
    (tmp_path / "images/003.png").write_bytes(b"")
    (tmp_path / "images/007.png").write_bytes((tmp_path / "images/007.png").read_bytes()[:300])
    assert doctor(tmp_path) == 1
    out = capsys.readouterr().out
    assert "error: image" in out
    assert "003.png cannot be read" in out
    assert "007.png cannot be read" in out


def test_no_photo_can_be_read(tmp_path):
    meta = write_transforms(tmp_path)
    rewrite(tmp_path, meta | {"w": 2 * W, "cx": W})
    found = report.examine(tmp_path, tmp_path / "cameras.png")
    assert len(found.broken) == 12
    assert f"has {W}x{H} pixels, but its camera {2 * W}x{H}" in found.broken[0]


def test_broken_sparse_points_do_not_end_it(tmp_path):
    write_transforms(tmp_path, ply_file_path="sparse.ply")
    (tmp_path / "sparse.ply").write_bytes(b"ply\nformat ascii 1.0\nelement vert")
    assert "the sparse points cannot be read" in odd(report.examine(tmp_path, tmp_path / "cameras.png"))


def test_few_photos_with_sparse_points_learn_their_depths(tmp_path, monkeypatch):
    write_dataset(tmp_path, made({f"{k}.jpg": 100 for k in range(6)}))
    monkeypatch.setattr(advice, "looks_at_one_thing", lambda source: False)
    monkeypatch.setattr(advice, "FEW_FOR_DEPTHS", 6)
    (found,) = report.examine(tmp_path, tmp_path / "cameras.png").advice
    assert "--pipeline.datamanager.pixel-sampler.depth-share 0.25" in found.command
    check_ns_train(shlex.split(found.command)[1:])
    monkeypatch.setattr(advice, "FEW_FOR_DEPTHS", 2)
    (found,) = report.examine(tmp_path, tmp_path / "more.png").advice
    assert "depth-share" not in found.command


def write_photos(folder, count: int = 6):
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        Image.fromarray(np.kron(picture(k)[0], np.ones((3, 3, 1), np.uint8))).save(folder / f"{k} é.png")


def test_photos_without_poses_are_sent_to_process_data(tmp_path):
    write_photos(tmp_path / "my photos")
    found = report.examine(tmp_path / "my photos", None)
    assert found.title.endswith("6 photos without poses")
    assert "6 photos are few" in odd(found)
    first, second = (shlex.split(item.command) for item in found.advice)
    assert first[2] == str(tmp_path / "my photos")
    check_ours(first[1:])
    check_ns_train(second[1:])


def test_videos_among_photos_and_in_their_place_are_named(tmp_path):
    write_photos(tmp_path)
    (tmp_path / "walk.mp4").touch()
    assert "only its photos are used, not a video, walk.mp4" in odd(report.examine(tmp_path, None))
    for photo in tmp_path.glob("*.png"):
        photo.unlink()
    with pytest.raises(InputError, match=r"has no photos, but a video, walk\.mp4: give it"):
        report.examine(tmp_path, None)


def test_a_video_is_described_and_what_will_matter_is_said(tmp_path):
    write_video(tmp_path / "walk.mp4", [picture(k)[0] for k in range(12)])
    found = report.examine(tmp_path / "walk.mp4", None)
    assert found.title == f"{tmp_path / 'walk.mp4'}: a video of 12 frames, 48x36 pixels, 30 a second, 0.4 s long"
    assert "12 frames are few" in odd(found)
    assert "48x36 pixels are small" in odd(found)
    check_ours(shlex.split(found.advice[0].command)[1:])


@pytest.mark.parametrize(
    ("footage", "expected"),
    [
        (Footage(900, (1920, 1080), 30.0, 30.0, 0), []),
        (Footage(0, (1920, 1080), 0.0, 0.0, 0), []),
        (Footage(900, (1080, 1920), 30.0, 30.0, 90), [("turned by 90 degrees", False)]),
        (Footage(90, (480, 270), 30.0, 3.0, 0), [("3.0 s are short", True)]),
        (Footage(1, (320, 240), 30.0, 0.1, 0), [("1 frame is few", True), ("320x240 pixels are small", True)]),
    ],
)
def test_what_matters_of_a_video(footage: Footage, expected: list[tuple[str, bool]]):
    remarks = footage_remarks(footage)
    assert len(remarks) == len(expected)
    for remark, (words, is_odd) in zip(remarks, expected):
        assert words in remark.line
        assert remark.is_odd is is_odd


def test_pictures_of_datasets_with_one_name_do_not_overwrite_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for place in ("a", "b"):
        write_transforms(tmp_path / place / "capture")
    one, two, again = (report.examine(tmp_path / place / "capture", None).picture for place in ("a", "b", "a"))
    assert one == again
    assert one is not None
    assert one != two
    assert one.name.startswith("capture_")


REFUSED = {
    "nothing": (lambda d: None, "does not exist"),
    "an empty folder": (lambda d: d.mkdir(), "has no photos"),
    "a text": (lambda d: d.write_text("x"), "is neither a dataset's .json nor a video"),
    "one photo": (lambda d: write_photos(d, 1), "has 1 photo; three see a scene at least"),
    "a link to itself": (
        lambda d: (write_photos(d), (d / "x.png").symlink_to(d / "x.png")),
        "x.png: is a link that leads",
    ),
    "a folder as file": (lambda d: (d / "transforms.json").mkdir(parents=True), "transforms.json: is a folder"),
    "the photos of a dataset": (
        lambda d: write_transforms(d.parent, name="data/{:03d}.png"),
        "are the photos of a dataset; give its folder",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_data_ends_in_one_line(tmp_path, case):
    make, message = REFUSED[case]
    data = tmp_path / "data"
    make(data)
    with pytest.raises(InputError, match=message) as error:
        report.examine(data, None)
    assert "\n" not in str(error.value)


def test_what_training_refuses_the_doctor_refuses(tmp_path):
    meta = write_transforms(tmp_path)
    meta["frames"][4]["transform_matrix"][0][3] = float("nan")
    rewrite(tmp_path, meta)
    with pytest.raises(InputError, match=r"the pose of images/004\.png is not finite"):
        report.examine(tmp_path, None)
