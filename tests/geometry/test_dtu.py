from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.io import savemat

from nerf_plugins.errors import InputError
from nerf_plugins.geometry import dtu


def sheet(z: float, x0: float, x1: float) -> trimesh.Trimesh:
    """A rectangle at height z, 10 wide in y."""
    vertices = [[x0, 0.0, z], [x1, 0.0, z], [x1, 10.0, z], [x0, 10.0, z]]
    return trimesh.Trimesh(vertices, [[0, 1, 2], [0, 2, 3]], process=False)


def write(folder: Path) -> Path:
    """The table is z = 1; voxels of 1 mm in [0, 20]^3, observed where x < 10; scanned points at z = 5 and on the table's other side."""
    (folder / "ObsMask").mkdir()
    (folder / "Points" / "stl").mkdir(parents=True)
    observed = np.zeros((21, 21, 21), np.uint8)
    observed[:10] = 1
    savemat(folder / "ObsMask" / "ObsMask7_10.mat", {"ObsMask": observed, "BB": [[0.0] * 3, [20.0] * 3], "Res": 1.0})
    savemat(folder / "ObsMask" / "Plane7.mat", {"P": np.array([[0.0], [0.0], [1.0], [-1.0]])})
    x, y = np.meshgrid(np.arange(0.0, 20.0, 0.1), np.arange(0.0, 10.0, 0.1))
    above = np.stack([x, y, np.full_like(x, 5.0)], axis=-1).reshape(-1, 3)
    below = above - [0.0, 0.0, 10.0]
    trimesh.PointCloud(np.concatenate([above, below])).export(folder / "Points" / "stl" / "stl007_total.ply")
    return folder


def evaluate(folder: Path, *parts: trimesh.Trimesh, thresholds=()):
    mesh = trimesh.util.concatenate(parts)
    return dtu.evaluate(np.asarray(mesh.vertices), np.asarray(mesh.faces), dtu.read_scan(folder, 7), thresholds)


def test_a_sheet_a_millimetre_off(tmp_path: Path):
    """Chamfer distance 1; scanned points below the table do not count."""
    result = evaluate(write(tmp_path), sheet(6.0, 0.0, 20.0), thresholds=(0.9, 1.1))
    assert result.accuracy == pytest.approx(1.0, abs=0.01)
    assert result.completeness == pytest.approx(1.0, abs=0.02)
    assert [f.f_score for f in result.f_scores] == [0.0, 1.0]


def test_only_what_was_observed_counts_for_accuracy(tmp_path: Path):
    """A second sheet, 8 off, where nothing was observed; it is still there to be found."""
    result = evaluate(write(tmp_path), sheet(6.0, 0.0, 20.0), sheet(13.0, 11.0, 19.0))
    assert result.accuracy == pytest.approx(1.0, abs=0.01)
    # Over the gap of 2 mm the distances are sqrt(1 + d²) with d up to 1: the mean is 1.015, and not some 5.
    result = evaluate(tmp_path, sheet(6.0, 0.0, 9.0), sheet(6.0, 11.0, 20.0))
    assert result.completeness == pytest.approx(1.015, abs=0.015)


def test_far_parts_are_cut_off(tmp_path: Path):
    """A sheet 25 mm off, at more than 20 mm, in observed voxels: not in the mean."""
    folder = write(tmp_path)
    scan = dtu.read_scan(folder, 7)
    tall = np.ones((21, 21, 60), bool)
    mesh = trimesh.util.concatenate([sheet(6.0, 0.0, 9.0), sheet(30.0, 0.0, 9.0)])
    result = dtu.evaluate(np.asarray(mesh.vertices), np.asarray(mesh.faces), replace(scan, observed=tall))
    assert result.accuracy == pytest.approx(1.0, abs=0.01)


def test_points_of_the_mesh_are_a_fifth_of_a_millimetre_apart(tmp_path: Path):
    result = evaluate(write(tmp_path), sheet(5.0, 0.0, 20.0))
    assert result.sampling_floor == pytest.approx(0.1)


def test_reach(tmp_path: Path):
    scan = dtu.read_scan(write(tmp_path), 7)
    points = np.array([[-60.0, 0.0, 0.0], [-60.1, 0.0, 0.0], [139.9, 0.0, 0.0], [140.0, 0.0, 0.0]])
    assert scan.in_reach(points).tolist() == [True, False, True, False]


def test_missing_files_are_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"ObsMask8_10\.mat: there is no such file"):
        dtu.read_scan(write(tmp_path), 8)
    savemat(tmp_path / "ObsMask" / "ObsMask7_10.mat", {"Other": 1.0})
    with pytest.raises(InputError, match="lacks one of ObsMask, BB, Res"):
        dtu.read_scan(tmp_path, 7)
