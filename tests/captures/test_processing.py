"""From photos or a video to a dataset; the real reconstructions are of few small pictures."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from PIL import Image

from nerf_plugins import cli
from nerf_plugins.captures import processing, worker
from nerf_plugins.captures.job import Job, read_reconstruction
from nerf_plugins.captures.options import ProcessDataOptions
from nerf_plugins.captures.processing import process_data
from nerf_plugins.checkup.source import open_source
from nerf_plugins.data.datamanager import NerfDataManagerConfig
from nerf_plugins.data.sparse_depths import read_sparse_depths
from nerf_plugins.data.sparse_points import sparse_points
from nerf_plugins.errors import InputError
from nerf_plugins.geometry.poses import aligned_error
from tests.captures.made_scene import arc, picture

COUNT = 8
NAMES = ["#0 é", *map(str, range(1, COUNT))]
SAFE = "_0_é.png"
needs_pycolmap = pytest.mark.skipif(worker.installed_version() is None, reason="pycolmap is not installed")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """With a mask for the first, whose left half is black."""
    folder = tmp_path_factory.mktemp("capture") / "photos [x] é"
    folder.mkdir()
    for k, pose in enumerate(arc(COUNT, 50.0)):
        Image.fromarray(picture(pose, (240, 180), 220.0)).save(folder / f"{NAMES[k]}.png")
    (folder / "masks").mkdir()
    Image.fromarray(np.repeat(np.arange(240)[None] >= 120, 180, axis=0)).save(folder / "masks" / f"{NAMES[0]}.png")
    return folder


@pytest.fixture(scope="module")
def dataset(photos) -> Path:
    return process_data(ProcessDataOptions(data=photos, output_dir=photos.parent / "out"))


def poses(folder: Path) -> np.ndarray:
    frames = json.loads((folder / "transforms.json").read_text())["frames"]
    order = sorted(frames, key=lambda f: f["file_path"].replace(SAFE, "0.png"))
    return np.array([f["transform_matrix"] for f in order])[:, :3]


@needs_pycolmap
def test_photos_become_a_dataset_with_true_poses(dataset):
    assert aligned_error(poses(dataset), arc(COUNT, 50.0)) < 0.01
    report = json.loads((dataset / "capture.json").read_text())
    assert (report["registered"], report["components"]) == (COUNT, [COUNT])
    assert report["reprojection_error_pixels"] < 0.6
    assert report["matches_that_agree"] > 0.9
    assert min(image["matches_that_agree"] for image in report["images"].values()) > 0.85
    assert f"{COUNT - 1} of {COUNT} photos have no mask" in report["notes"][0]
    assert (dataset / "capture.png").stat().st_size > 10_000


@needs_pycolmap
def test_the_frame_is_upright_and_the_floor_level(dataset):
    outputs = NerfstudioDataParserConfig(data=dataset).setup().get_dataparser_outputs("train")
    assert outputs.cameras.camera_to_worlds[:, 2, 1].min() > 0.9
    # The true vertical, in the found frame.
    z = np.einsum("nij,nj->ni", poses(dataset)[:, :, :3] * [1, -1, -1], arc(COUNT, 50.0)[:, 2, :3])
    assert np.degrees(np.arccos(z[:, 2].clip(-1, 1))).max() < 8


@needs_pycolmap
def test_photos_see_the_sparse_points_where_it_says(dataset):
    """A ray through the pixel passes the point by less than two pixels, most by less than one; points that two training photos see."""
    config = NerfstudioDataParserConfig(data=dataset)
    outputs = config.setup().get_dataparser_outputs("train")
    known = read_sparse_depths(config, outputs, outputs.cameras)
    points = torch.from_numpy(sparse_points(config, outputs)[:, :3]).float()
    rays = outputs.cameras.generate_rays(camera_indices=known.pixels[:, :1], coords=known.pixels[:, 1:] + 0.5)
    ends = rays.origins + known.depths[:, None] * rays.directions
    apart = torch.cdist(ends, points).amin(dim=1) / known.depths * outputs.cameras.fx[0]
    assert len(known.depths) > 500
    assert float(apart.quantile(0.5)) < 1.0
    assert float(apart.quantile(0.95)) < 2.0


@needs_pycolmap
def test_masked_pixels_have_no_features_and_are_not_trained_on(dataset):
    with closing(sqlite3.connect(dataset / "colmap" / "database.db")) as db:
        query = "SELECT data, cols FROM keypoints JOIN images USING (image_id) WHERE name = ?"
        data, columns = db.execute(query, (SAFE,)).fetchone()
    assert np.frombuffer(data, np.float32).reshape(-1, columns)[:, 0].min() > 118
    outputs = NerfstudioDataParserConfig(data=dataset, train_split_fraction=1.0).setup().get_dataparser_outputs("train")
    shares = {path.name: np.asarray(Image.open(path)).mean() / 255 for path in outputs.mask_filenames}
    assert shares == {f"{SAFE}.png": 0.5} | {f"{k}.png.png": 1.0 for k in range(1, COUNT)}


@needs_pycolmap
def test_the_command_ends_with_the_training_that_suits_it(dataset, photos, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["process-data", str(photos), "--output-dir", str(dataset)])
    said = capsys.readouterr()
    assert (exit_.value.code, said.out) == (0, f"{dataset}\n")
    with pytest.raises(SystemExit):
        cli.main(["doctor", str(dataset)])
    assert said.err.splitlines()[-1] in capsys.readouterr().out.splitlines()


@needs_pycolmap
def test_a_second_call_does_nothing_and_other_options_are_refused(dataset, photos, capsys):
    before = {path: path.stat().st_mtime_ns for path in dataset.rglob("*") if path.is_file() and path.name != ".lock"}
    options = ProcessDataOptions(data=photos, output_dir=dataset)
    process_data(options)
    assert "is complete already" in capsys.readouterr().err.replace("\n", "")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    with pytest.raises(InputError, match="was made with --mapper auto"):
        process_data(ProcessDataOptions(data=photos, output_dir=dataset, mapper="global"))


def until(job: Path, is_reached) -> list[dict]:
    """Starts the reconstructing process and kills it at the first event that says so; returns the events."""
    events = []
    arguments = [sys.executable, "-m", "nerf_plugins.captures.reconstruction", str(job)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        for line in process.stdout or []:
            events.append(json.loads(line))
            if is_reached(events[-1]):
                os.kill(process.pid, signal.SIGKILL)
                break
    return events


@needs_pycolmap
def test_a_kill_loses_only_what_was_under_way(dataset, tmp_path):
    whole = Job.read(dataset / "colmap" / "reconstruction_job.json")
    job = Job(**{**vars(whole), "folder": tmp_path, "mapper": "incremental"})  # it says how far it is
    job.write(tmp_path / "job.json")
    until(tmp_path / "job.json", lambda event: event["stage"] == "matches")
    assert not job.result.exists()
    events = until(tmp_path / "job.json", lambda event: event["stage"] == "poses" and event["done"] > 2)
    assert not job.result.exists()
    assert "cameras" not in {event["stage"] for event in events}
    assert [event["done"] for event in events if event["stage"] == "features"] == [COUNT]
    found, expected = worker.run(job, lambda *_: None), read_reconstruction(whole.result)
    assert found.posed.keys() == expected.posed.keys()
    assert aligned_error(found.poses, expected.poses) < 0.005


@needs_pycolmap
def test_a_result_that_lacks_the_views_is_made_anew(dataset, tmp_path):
    """As an earlier version left it; features and matches are not done again."""
    shutil.copytree(dataset / "colmap", tmp_path / "colmap")
    whole = Job.read(dataset / "colmap" / "reconstruction_job.json")
    job = Job(**{**vars(whole), "folder": tmp_path / "colmap"})
    (job.result / "views.npy").unlink()
    stages = []
    found = worker.run(job, lambda stage, done, total: stages.append((stage, done)))
    assert np.array_equal(found.views, read_reconstruction(whole.result).views)
    assert ("features", COUNT) in stages
    assert ("features", 0) not in stages


@needs_pycolmap
@pytest.mark.parametrize(("is_worth", "lens"), [(True, "OPENCV"), (False, "SIMPLE_RADIAL")])
def test_the_last_adjustment_frees_the_lens_where_it_is_worth_it(dataset, is_worth, lens):
    """In a process of its own, for pycolmap's sake. The true centre is (120, 90)."""
    code = f"""
import pycolmap, numpy as np
from nerf_plugins.captures import adjustment
adjustment.OWN_CENTRE, adjustment.OWN_POINTS, adjustment.is_worth = 3, 50, lambda *_: {is_worth}
model = adjustment.adjusted(pycolmap.Reconstruction({str(dataset / "colmap" / "sparse" / "0")!r}))
(camera,) = model.cameras.values()
print(camera.model.name, camera.principal_point_x, camera.principal_point_y, model.compute_mean_reprojection_error())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    name, x, y, error = done.stdout.split()
    assert name == lens
    assert (float(x) != 120.0) == is_worth
    assert abs(float(x) - 120.0) < 12
    assert abs(float(y) - 90.0) < 12
    assert float(error) < 0.6


@needs_pycolmap
def test_the_last_adjustment_does_not_follow_the_few_that_are_wrong(dataset):
    """Each eighth feature is seen 3.5 pixels further right in every other photo, less than what COLMAP's filter takes out."""
    code = f"""
import json, pycolmap
from nerf_plugins.captures import adjustment
noise = adjustment.NOISE
for shift, adjustment.NOISE in ((0.0, noise), (3.5, noise), (3.5, 1000.0)):  # so far off, its loss is the square
    model = pycolmap.Reconstruction({str(dataset / "colmap" / "sparse" / "0")!r})
    for image_id in list(model.reg_image_ids())[::2]:
        for i, seen in enumerate(model.image(image_id).points2D):
            seen.xy = seen.xy + [shift * (i % 8 == 0), 0.0]
    model = adjustment.adjusted(model)
    images = sorted((model.image(i) for i in model.reg_image_ids()), key=lambda image: image.name)
    print(json.dumps([adjustment.pose(image).tolist() for image in images]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    right, robust, square = (np.array(json.loads(line)) for line in done.stdout.splitlines())
    assert aligned_error(robust, right) < 0.5 * aligned_error(square, right)


@needs_pycolmap
def test_the_reconstructing_process_ends_with_its_parent(dataset, tmp_path):
    job = Job(**{**vars(Job.read(dataset / "colmap" / "reconstruction_job.json")), "folder": tmp_path})
    job.write(tmp_path / "job.json")
    arguments = [sys.executable, "-m", "nerf_plugins.captures.reconstruction", str(tmp_path / "job.json")]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        process.stdin.close()  # as when the parent is gone
        assert process.wait(timeout=20) == 1


@needs_pycolmap
def test_photos_of_nothing_are_one_line_with_advice(tmp_path):
    (tmp_path / "photos").mkdir()
    for k in range(4):
        Image.fromarray(np.full((120, 160, 3), 60 * k, np.uint8)).save(tmp_path / "photos" / f"{k}.png")
    with pytest.raises(InputError, match=r"no pose could be found for any of the 4 photos: take more of them, sharp"):
        process_data(ProcessDataOptions(data=tmp_path / "photos", output_dir=tmp_path / "out"))
    assert not (tmp_path / "out" / "transforms.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "nowhere"}, "nowhere: does not exist"),
        ({"data": "text.txt"}, "text.txt: is no video"),
        ({"features": 5}, "--features 5: give 100 or more"),
        ({"min_registered": 2.0}, "--min-registered 2: a share lies between 0 and 1"),
        ({"moving": True}, "--moving: the photos of a folder have no times"),
        ({"masks": "nowhere"}, "--masks .*nowhere: is no folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(photos, tmp_path, changes, message):
    (tmp_path / "text.txt").touch()
    given = {k: tmp_path / v if k in ("data", "masks") else v for k, v in changes.items()}
    with pytest.raises(InputError, match=message):
        process_data(ProcessDataOptions(**{"data": photos, "output_dir": tmp_path / "out", **given}))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (None, r"pycolmap.* is not installed: pip install -e \"\.\[process\]\" in the package's folder$"),
        ("3.13.0", r"pycolmap 3.13.0 is installed and 4 is needed: pip install -e"),
    ],
)
def test_without_the_right_pycolmap_one_line_says_how_to_get_it(photos, tmp_path, monkeypatch, version, message):
    monkeypatch.setattr(worker, "installed_version", lambda: version)
    with pytest.raises(InputError, match=message):
        process_data(ProcessDataOptions(data=photos, output_dir=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_broken_photo_leaves_nothing_behind_so_that_it_can_be_taken_away(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "installed_version", lambda: "4.2.1")
    (tmp_path / "photos").mkdir()
    for k, pose in enumerate(arc(4)):
        Image.fromarray(picture(pose)).save(tmp_path / "photos" / f"{k}.jpg")
    whole = (tmp_path / "photos" / "3.jpg").read_bytes()
    (tmp_path / "photos" / "3.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"3.jpg: the image is broken"):
        process_data(ProcessDataOptions(data=tmp_path / "photos", output_dir=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(photos, tmp_path, capsys):
    process_data(ProcessDataOptions(data=photos, output_dir=tmp_path / "out", dry_run=True))
    said = capsys.readouterr().err
    assert "masks: masks of 1 of 8 photos were found there and are used; --masks none leaves them out" in said
    assert "8 photos, 1 with a mask; 1 camera; matching exhaustive" in said
    assert "8 of 240 x 180, focal length 288 pixels (guessed)" in said
    assert not (tmp_path / "out").exists()


def test_videos_among_photos_are_said_to_be_left_out(tmp_path, capsys):
    for k, pose in enumerate(arc(3)):
        Image.fromarray(picture(pose)).save(tmp_path / f"{k}.jpg")
    (tmp_path / "walk.mp4").touch()
    process_data(ProcessDataOptions(data=tmp_path, output_dir=tmp_path / "out", dry_run=True))
    said = capsys.readouterr().err
    assert (
        f"note: {tmp_path}: only its photos are used, not a video, walk.mp4; for the poses of a video give it, as"
        in said
    )
    assert "3 photos, 0 with a mask" in said


@pytest.mark.parametrize("mark", ["transforms.json", "transforms_train.json"])
def test_a_dataset_is_not_taken_for_photos(tmp_path, mark):
    """Its capture.png would be one of them."""
    (tmp_path / mark).touch()
    Image.fromarray(picture(arc(3)[0])).save(tmp_path / "capture.png")
    options = ProcessDataOptions(data=tmp_path, output_dir=tmp_path / "out")
    said = rf"is a dataset already \({mark}\), for ns-train: nerf-plugins doctor .* names the command that suits it\. To find .* give"
    with pytest.raises(InputError, match=f"{said} a folder of the photos alone$"):
        process_data(options)
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match=f"{said} .*images$"):
        process_data(options)


def test_an_unfinished_dataset_is_not_taken_for_photos(photos, tmp_path, monkeypatch):
    """By process-data, by the doctor, and by training."""
    monkeypatch.setattr(worker, "installed_version", lambda: "4.2.1")
    monkeypatch.setattr(worker, "run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        process_data(ProcessDataOptions(data=photos, output_dir=tmp_path / "out"))
    Image.fromarray(picture(arc(3)[0])).save(tmp_path / "out" / "capture.png")
    said = r"out: has no transforms\.json yet: process-data was stopped, or placed too few photos; call it again"
    with pytest.raises(InputError, match=said):
        process_data(ProcessDataOptions(data=tmp_path / "out", output_dir=tmp_path / "second"))
    with pytest.raises(InputError, match=said):
        open_source(tmp_path / "out")
    with pytest.raises(InputError, match=f"--data .*{said}"):
        NerfDataManagerConfig(dataparser=NerfstudioDataParserConfig(data=tmp_path / "out")).setup(device="cpu")


def test_a_process_that_dies_is_one_line(tmp_path, monkeypatch):
    job = Job(tmp_path, tmp_path, None, (), "exhaustive", "incremental", 20, 1600, 4096)
    dying = [sys.executable, "-c", "import sys; print('Check failed: x > 0', file=sys.stderr); sys.exit(134)"]
    start = subprocess.Popen
    monkeypatch.setattr(worker.subprocess, "Popen", lambda _, **options: start(dying, **options))
    with pytest.raises(
        InputError, match=r"COLMAP stopped \(exit code 134\): Check failed: x > 0; the whole log is .*log.txt"
    ):
        worker.run(job, lambda *_: None)


def test_a_half_written_copy_is_not_used(photos, tmp_path, monkeypatch):
    """A kill while photos are copied leaves hidden parts: they are written anew, and never taken for images."""
    images = tmp_path / "images"
    images.mkdir()
    (images / ".1.png").write_bytes(b"half")
    source = processing.read_source(ProcessDataOptions(data=photos, output_dir=tmp_path))
    processing._write_photos(source, tmp_path, tmp_path, processing.Stages(processing.Progress(disable=True)))
    assert sorted(p.name for p in images.iterdir()) == sorted([SAFE, *(f"{k}.png" for k in range(1, COUNT))])
