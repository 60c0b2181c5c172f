"""scripts/eval_mesh.py, as a process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import trimesh

from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.export.mesh import extract_mesh
from nerf_plugins.scenes import demo_scene

SCRIPT = Path(__file__).parents[1] / "scripts" / "eval_mesh.py"


def evaluate(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def measures(*arguments) -> dict:
    result = evaluate(*arguments, "--samples", 20_000, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def demo_mesh(tmp_path_factory) -> trimesh.Trimesh:
    """The demo scene's own surface, with 56 cells along an edge of its cube."""
    value = lambda p: torch.from_numpy(demo_scene().sdf(p.double().numpy()))  # noqa: E731
    box = torch.tensor([[-1.0] * 3, [1.0] * 3])
    return extract_mesh(ImplicitSurface(value, 0.0, box, lambda p, d: p), 56)


def save(mesh: trimesh.Trimesh, path: Path) -> Path:
    mesh.export(path)
    return path


def test_the_demo_scene_against_itself(demo_mesh, tmp_path):
    result = measures(save(demo_mesh, tmp_path / "a.ply"), "--demo-views", 12)
    assert result["diagonal"] == pytest.approx(2.9386, abs=0.01)
    assert result["sampling_floor"] < result["chamfer"] < 1.3 * result["sampling_floor"]
    assert result["f_scores"][-1]["f_score"] > 0.98


def test_what_no_view_sees_does_not_count(demo_mesh, tmp_path):
    """Without the table's underside the mesh is as good, unless all surfaces are to count."""
    top = demo_mesh.submesh([demo_mesh.triangles_center[:, 2] > -0.67], append=True)
    path = save(top, tmp_path / "top.ply")
    assert measures(path, "--demo-views", 12)["f_scores"][-1]["recall"] > 0.97
    assert measures(path, "--all-surfaces")["f_scores"][-1]["recall"] < 0.8


def test_what_is_hidden_in_the_mesh_does_not_count_but_what_floats_does(demo_mesh, tmp_path):
    hidden = trimesh.creation.icosphere(radius=0.15).apply_translation([0.0, 0.0, -0.2])  # inside the ball of 0.36
    floating = hidden.copy().apply_translation([0.0, 0.0, 0.9])
    accuracy = {"plain": measures(save(demo_mesh, tmp_path / "plain.ply"), "--demo-views", 12)["accuracy"]}
    for name, extra in (("hidden", hidden), ("floating", floating)):
        both = trimesh.util.concatenate([demo_mesh, extra])
        accuracy[name] = measures(save(both, tmp_path / f"{name}.ply"), "--demo-views", 12)["accuracy"]
    assert accuracy["hidden"] == pytest.approx(accuracy["plain"], rel=0.05)
    assert accuracy["floating"] > 1.3 * accuracy["plain"]


def test_against_a_mesh_and_a_cloud(tmp_path):
    inner = save(trimesh.creation.icosphere(4, 0.50), tmp_path / "inner.ply")
    outer = trimesh.creation.icosphere(4, 0.53)
    cloud = save(trimesh.PointCloud(outer.sample(20_000)), tmp_path / "cloud.ply")
    for truth in (save(outer, tmp_path / "outer.obj"), cloud):
        result = measures(inner, "--truth", truth, "--thresholds", 0.02, 0.04)
        assert result["chamfer"] == pytest.approx(0.03, rel=0.05)
        assert [f["f_score"] for f in result["f_scores"]] == [0.0, pytest.approx(1.0, abs=0.01)]
    assert result["normal_error"] is None


def test_the_table(tmp_path):
    path = save(trimesh.creation.icosphere(3, 0.5), tmp_path / "a.ply")
    result = evaluate(path, "--truth", path, "--samples", 2000)
    assert result.returncode == 0
    assert all(word in result.stdout for word in ("accuracy", "completeness", "chamfer", "normal error", "F-score"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["none.ply"], "none.ply: there is no such file"),
        (["a.ply", "--truth", "none.ply"], "none.ply: there is no such file"),
        (["a.ply", "--truth", "x", "--dtu-scan", 24], "ObsMask24_10.mat: there is no such file"),
        (["a.ply", "--thresholds", 0], "thresholds (0.0,): all must be above 0"),
        (["a.ply", "--samples", 0], "samples 0"),
    ],
)
def test_bad_input_is_one_line(tmp_path, options, message):
    save(trimesh.creation.icosphere(1), tmp_path / "a.ply")
    paths = [tmp_path / x if isinstance(x, str) and not x.startswith("-") else x for x in options]
    result = evaluate(*paths)
    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
