"""Which pairs of photos are compared, and what their matches say of the poses: of made matches, and once of rendered photos."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from PIL import Image

from nerf_plugins.checkup import poses, report, walk
from nerf_plugins.checkup.matches import Features
from nerf_plugins.checkup.poses import Shared, check_poses, on_plane, verdict
from nerf_plugins.checkup.walk import choose_pairs, walk_of
from nerf_plugins.errors import InputError
from tests.captures.made_scene import FOCAL, SIZE, arc, picture

N = 30
SEAM = 20
POINTS = np.random.default_rng(0).uniform(-0.5, 1.0, (200, 3))
DESCRIPTORS = np.random.default_rng(1).normal(size=(200, 128))
DESCRIPTORS /= np.linalg.norm(DESCRIPTORS, axis=1, keepdims=True)


def names(count: int = N) -> list[Path]:
    return [Path(f"images/IMG_{k}.jpg") for k in range(count)]


def nerfstudio(made: np.ndarray) -> torch.Tensor:
    """x right, y up, z backward."""
    return torch.from_numpy(made * [1.0, -1.0, -1.0, 1.0])


def cameras(made: np.ndarray, **options) -> dict[Path, Cameras]:
    whole = Cameras(nerfstudio(made).float(), FOCAL, FOCAL, SIZE[0] / 2, SIZE[1] / 2, *SIZE, **options)
    return {name: whole[k] for k, name in enumerate(names(len(made)))}


def shifted(made: np.ndarray, start: int = SEAM, end: int = N) -> np.ndarray:
    """Some of the cameras higher, as a block; the usual step is 0.17."""
    moved = made.copy()
    moved[start:end, 2, 3] += 1.0
    return moved


@pytest.fixture
def seen(monkeypatch):
    """Photos are their numbers, and have the projections of the same 200 points by the true poses of an arc."""
    true = arc(N)

    def project(k: int) -> Features:
        local = (POINTS - true[k, :, 3]) @ true[k, :, :3]
        pixels = FOCAL * local[:, :2] / local[:, 2:] + np.array(SIZE) / 2
        return Features(pixels, DESCRIPTORS, 1.0)

    monkeypatch.setattr(poses, "find_features", project)
    return true


def said(made: np.ndarray, **options) -> poses.Remark:
    remark, broken = check_poses(cameras(made, **options), lambda k: k)  # type: ignore[arg-type, return-value]
    assert broken == []
    assert remark is not None
    return remark


def test_right_poses_agree(seen):
    remark = said(seen)
    assert not remark.is_odd
    assert remark.line.startswith("Poses: 100% of the matches of ")


def test_a_block_beside_its_place_is_named_at_the_seam(seen):
    remark = said(shifted(seen))
    assert remark.is_odd
    assert "IMG_19.jpg and IMG_20.jpg share 200 matches" in remark.line
    assert (
        "between them the camera jumps by 6 usual steps: the poses before and after do not fit together" in remark.line
    )


def test_poses_all_astray_are_said(seen):
    remark = said(seen[np.random.default_rng(2).permutation(N)])
    assert remark.is_odd
    assert "Nearly nothing fits" in remark.line


def test_poses_a_little_off_are_imprecise(seen):
    blurred = seen.copy()
    blurred[:, :, 3] += np.random.default_rng(3).normal(scale=0.025, size=(N, 3))
    remark = said(blurred)
    assert remark.is_odd
    assert "imprecise" in remark.line


def test_photos_that_cannot_be_read_are_named_and_the_others_compared(seen, monkeypatch):
    whole = poses.find_features

    def read(k):
        if k == 0:
            raise InputError("IMG_0.jpg is broken")
        return k

    remark, broken = check_poses(cameras(seen), read)
    assert broken == ["IMG_0.jpg is broken"]
    assert remark is not None
    assert "100%" in remark.line

    def failing(k):
        raise cv2.error("out of\nmemory")

    monkeypatch.setattr(poses, "find_features", failing)
    assert "OpenCV failed (out of memory)" in said(seen).line
    monkeypatch.setattr(poses, "find_features", whole)


def test_things_that_move_are_compared_at_one_time_only(seen):
    one_by_one = said(shifted(seen), times=torch.linspace(0, 1, N)[:, None])
    assert not one_by_one.is_odd
    assert "things move and no two photos are of one time" in one_by_one.line
    assert said(shifted(seen), times=torch.zeros(N, 1)).is_odd


def test_cameras_without_epipolar_lines_are_left_alone(seen):
    panoramas = cameras(seen, camera_type=CameraType.EQUIRECTANGULAR)
    assert check_poses(panoramas, lambda k: k) == (None, [])  # type: ignore[arg-type, return-value]
    assert check_poses(cameras(seen[:1]), lambda k: k) == (None, [])  # type: ignore[arg-type, return-value]


def test_few_matches_are_no_evidence():
    steps = walk_of(nerfstudio(arc(3)), names(3))
    everything = ["a", "b", "c"]
    remark = verdict([Shared((0, 1), 29, 0), Shared((1, 2), 0, 0)], everything, steps)
    assert not remark.is_odd
    assert "of 2 pairs of photos compared none shares 30 or more" in remark.line
    assert verdict([Shared((0, 1), 30, 0)], everything, steps).is_odd
    assert not verdict([Shared((0, 1), 29, 0), Shared((1, 2), 100, 97)], everything, steps).is_odd


def test_the_oddest_step_is_long_while_the_view_stays(monkeypatch):
    made = np.tile(arc(1), (N, 1, 1))
    made[:, 0, 3] += 0.1 * np.arange(N)
    made[10:, 0, 3] += 0.6  # a long step
    made[25:, 0, 3] += 1.0  # a longer one, around a corner
    made[25:, :, :3] = made[25:, :, :3] @ np.diag([-1.0, 1.0, -1.0])
    steps = walk_of(nerfstudio(made), names())
    assert steps.lengths[[8, 9, 24]] == pytest.approx([1.0, 7.0, 11.0])
    assert steps.turns[[9, 24]] == pytest.approx([0.0, 180.0])
    assert (steps.jump((9, 10)), steps.jump((12, 7)), steps.jump((0, 20))) == pytest.approx((7.0, 7.0, 0.0))
    assert len(choose_pairs(steps, nerfstudio(made))) <= 24
    monkeypatch.setattr(walk, "_STEPS", 1)
    assert {(9, 10), (7, 12)} <= set(choose_pairs(steps, nerfstudio(made)))


def test_photos_are_in_the_order_of_their_names_folder_by_folder():
    paths = [Path(name) for name in ("b/1.png", "a/r_10.png", "a/r_2.png", "a/r_1.png")]
    assert walk_of(nerfstudio(arc(4)), paths).order == [3, 2, 1, 0]


def test_pairs_are_spread_over_the_whole_walk():
    pairs = choose_pairs(walk_of(nerfstudio(arc(N)), names()), nerfstudio(arc(N)))
    assert all(a < b for a, b in pairs)
    touched = np.unique(pairs)
    assert (touched[0], touched[-1]) == (0, N - 1)
    assert np.diff(touched).max() <= 5
    assert choose_pairs(walk_of(nerfstudio(arc(2)), names(2)), nerfstudio(arc(2))) == [(0, 1)]
    same = np.tile(arc(1), (4, 1, 1))
    assert choose_pairs(walk_of(nerfstudio(same), names(4)), nerfstudio(same))


@pytest.mark.parametrize("kind", [CameraType.PERSPECTIVE, CameraType.FISHEYE])
def test_pixels_are_seen_as_nerfstudios_rays_go(kind):
    params = torch.tensor([[0.05, -0.02, 0.0, 0.0, 0.001, 0.002]])
    (camera,) = cameras(arc(1), distortion_params=params, camera_type=kind).values()
    pixels = np.random.default_rng(0).uniform([20, 20], [300, 220], (50, 2))
    coords = torch.from_numpy(pixels[:, ::-1].copy()).float()
    rays = camera.reshape((1,)).generate_rays(camera_indices=0, coords=coords)
    local = rays.directions.numpy() @ camera.camera_to_worlds[:, :3].numpy() * [1.0, -1.0, -1.0]
    assert on_plane(camera, pixels) == pytest.approx(local[:, :2] / local[:, 2:], abs=1e-4)


def test_far_out_a_fisheye_sees_nothing_of_the_plane():
    (camera,) = cameras(arc(1), camera_type=CameraType.FISHEYE).values()
    assert np.isnan(on_plane(camera, np.array([[160.0 + 1.1 * FOCAL, 120.0]]))).all()
    assert np.isfinite(on_plane(camera, np.array([[160.0 + 1.0 * FOCAL, 120.0]]))).all()


def write_dataset(folder: Path, made: np.ndarray, shown: np.ndarray) -> None:
    """Photos by some poses, a transforms.json by others."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    frames = []
    for k, pose in enumerate(nerfstudio(made).tolist()):
        path = folder / f"images/{k}.png"
        if not path.exists():
            Image.fromarray(picture(shown[k])).save(path)
        frames.append({"file_path": f"images/{k}.png", "transform_matrix": [*pose, [0.0, 0.0, 0.0, 1.0]]})
    width, height = SIZE
    lens = {"fl_x": FOCAL, "fl_y": FOCAL, "cx": width / 2, "cy": height / 2, "w": width, "h": height}
    (folder / "transforms.json").write_text(json.dumps(lens | {"frames": frames}))


def test_the_doctor_names_the_seam_of_rendered_photos_and_sends_to_process_data(tmp_path):
    true = arc(18, 42.0)
    write_dataset(tmp_path / "room", true, true)
    found = report.examine(tmp_path / "room", tmp_path / "a.png")
    (line,) = (remark.line for remark in found.remarks if remark.line.startswith("Poses"))
    assert line.endswith(" pairs of photos agree with them.")
    assert int(line.split()[1].rstrip("%")) >= 97
    assert found.advice[0].command.startswith("ns-train")

    write_dataset(tmp_path / "room", shifted(true, 12), true)
    found = report.examine(tmp_path / "room", tmp_path / "b.png")
    (line,) = (remark.line for remark in found.remarks if remark.line.startswith("Poses") and remark.is_odd)
    assert "11.png and 12.png share " in line
    assert "between them the camera jumps by 5 usual steps" in line
    assert found.advice[0].command == f"nerf-plugins process-data {tmp_path}/room/images --output-dir room_capture"
