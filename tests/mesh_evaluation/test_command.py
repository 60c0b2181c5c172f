"""`nerf-plugins eval-mesh`, in this process."""

import json
import re
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
import yaml

from nerf_plugins import cli
from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.export.mesh import extract_mesh
from nerf_plugins.mesh_evaluation.cameras import demo_cameras, training_cameras
from nerf_plugins.methods import vanilla_nerf
from nerf_plugins.scenes import demo_scene


@pytest.fixture
def evaluate(capsys):
    """Runs the command; returns its exit code and what it printed."""

    def call(*arguments) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            cli.main(["eval-mesh", *map(str, arguments)])
        return stopped.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def measures(evaluate):
    def call(*arguments) -> dict:
        code, out, error = evaluate(*arguments, "--samples", 20_000, "--json")
        assert code == 0, error
        return json.loads(out)

    return call


@pytest.fixture(scope="module")
def demo_mesh(tmp_path_factory) -> trimesh.Trimesh:
    """The demo scene's own surface, with 56 cells along an edge of its cube."""
    value = lambda p: torch.from_numpy(demo_scene().sdf(p.double().numpy()))  # noqa: E731
    box = torch.tensor([[-1.0] * 3, [1.0] * 3])
    return extract_mesh(ImplicitSurface(value, 0.0, box, lambda p, d: p), 56)


def save(mesh: trimesh.Trimesh, path: Path) -> Path:
    mesh.export(path)
    return path


def test_what_is_missing_is_said_by_object(measures, evaluate, demo_mesh, tmp_path):
    """Without what is above the ball's middle the table is there as before, and the ball by half."""
    low = trimesh.intersections.slice_mesh_plane(demo_mesh, [0, 0, -1], [0, 0, -0.2])
    path = save(low, tmp_path / "low.ply")
    found = {x["name"]: x for x in measures(path, "--by-object", "--demo-views", 12, "--thresholds", 0.03)["objects"]}
    assert found["table"]["recalls"][0] > 0.95
    assert 0.2 < found["ball"]["recalls"][0] < 0.6
    assert found["lamp"]["recalls"] == [0.0]
    assert sum(x["share"] for x in found.values()) == pytest.approx(1.0)
    code, out, _ = evaluate(path, "--by-object", "--demo-views", 12, "--samples", 20_000)
    assert code == 0
    assert re.search(r"│ lamp +│.*│ 0.0% ", out)
    code, _, error = evaluate(path, "--by-object", "--truth", path)
    assert code != 0
    assert "by_object: is for the scenes of demo-data" in error


def test_the_demo_scene_against_itself(measures, demo_mesh, tmp_path):
    result = measures(save(demo_mesh, tmp_path / "a.ply"), "--demo-views", 12)
    assert result["diagonal"] == pytest.approx(2.9386, abs=0.01)
    assert result["sampling_floor"] < result["chamfer"] < 1.3 * result["sampling_floor"]
    assert result["f_scores"][-1]["f_score"] > 0.98


def test_what_no_view_sees_does_not_count(measures, demo_mesh, tmp_path):
    """Without the table's underside the mesh is as good, unless all surfaces are to count."""
    top = demo_mesh.submesh([demo_mesh.triangles_center[:, 2] > -0.67], append=True)
    path = save(top, tmp_path / "top.ply")
    assert measures(path, "--demo-views", 12)["f_scores"][-1]["recall"] > 0.97
    assert measures(path, "--all-surfaces")["f_scores"][-1]["recall"] < 0.8


def test_what_is_hidden_in_the_mesh_does_not_count_but_what_floats_does(measures, demo_mesh, tmp_path):
    hidden = trimesh.creation.icosphere(radius=0.15).apply_translation([0.0, 0.0, -0.2])  # inside the ball of 0.36
    floating = hidden.copy().apply_translation([0.0, 0.0, 0.9])
    accuracy = {"plain": measures(save(demo_mesh, tmp_path / "plain.ply"), "--demo-views", 12)["accuracy"]}
    for name, extra in (("hidden", hidden), ("floating", floating)):
        both = trimesh.util.concatenate([demo_mesh, extra])
        accuracy[name] = measures(save(both, tmp_path / f"{name}.ply"), "--demo-views", 12)["accuracy"]
    assert accuracy["hidden"] == pytest.approx(accuracy["plain"], rel=0.05)
    assert accuracy["floating"] > 1.3 * accuracy["plain"]


def test_against_a_mesh_and_a_cloud(measures, tmp_path):
    inner = save(trimesh.creation.icosphere(4, 0.50), tmp_path / "inner.ply")
    outer = trimesh.creation.icosphere(4, 0.53)
    cloud = save(trimesh.PointCloud(outer.sample(20_000)), tmp_path / "cloud.ply")
    for truth in (save(outer, tmp_path / "outer.obj"), cloud):
        result = measures(inner, "--truth", truth, "--thresholds", 0.02, 0.04)
        assert result["chamfer"] == pytest.approx(0.03, rel=0.05)
        assert [f["f_score"] for f in result["f_scores"]] == [0.0, pytest.approx(1.0, abs=0.01)]
    assert result["normal_error"] is None


def test_the_table(evaluate, tmp_path):
    path = save(trimesh.creation.icosphere(3, 0.5), tmp_path / "a.stl")
    code, out, _ = evaluate(path, "--truth", path, "--samples", 2000)
    assert code == 0
    assert all(word in out for word in ("accuracy", "completeness", "chamfer", "normal error", "F-score"))


def test_only_what_a_runs_cameras_see_of_a_mesh_counts(measures, tmp_path):
    """Cameras on the dome above see no underside of a box: a mesh without is complete, and what is hidden in it is not wrong."""
    config = deepcopy(vanilla_nerf.method.config)
    config.pipeline.datamanager.data = None
    config.pipeline.datamanager.dataparser = DemoDataParserConfig(resolution=8, num_train=9, num_val=1, num_test=1)
    (tmp_path / "config.yml").write_text(yaml.dump(config))
    box = trimesh.creation.box((0.8, 0.8, 0.4))
    top = box.submesh([box.face_normals[:, 2] > -0.5], append=True)
    inner = trimesh.creation.icosphere(2, 0.1)
    truth, mesh = save(box, tmp_path / "box.ply"), save(trimesh.util.concatenate([top, inner]), tmp_path / "top.ply")
    plain = measures(mesh, "--truth", truth)
    seen = measures(mesh, "--truth", truth, "--seen-by", tmp_path / "config.yml")
    assert plain["f_scores"][-1]["recall"] < 0.85
    assert plain["accuracy"] > 1.5 * seen["accuracy"]
    assert seen["f_scores"][-1]["recall"] > 0.97
    assert seen["accuracy"] < 1.5 * seen["sampling_floor"]


def test_a_runs_cameras_are_those_of_the_data(tmp_path):
    config = deepcopy(vanilla_nerf.method.config)
    config.pipeline.datamanager.data = None
    config.pipeline.datamanager.dataparser = DemoDataParserConfig(resolution=8, num_train=5, num_val=1, num_test=1)
    (tmp_path / "config.yml").write_text(yaml.dump(config))
    for ours, theirs in zip(training_cameras(tmp_path / "config.yml"), demo_cameras(5), strict=True):
        np.testing.assert_allclose(ours.pose, theirs.pose, atol=1e-5)
        assert ours.fx / ours.width == pytest.approx(theirs.fx / theirs.width)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["none.ply"], "none.ply: there is no such file"),
        (["a.ply", "--truth", "none.ply"], "none.ply: there is no such file"),
        (["a.ply", "--truth", "x", "--dtu-scan", 24], "ObsMask24_10.mat: there is no such file"),
        (["a.ply", "--thresholds", 0], "thresholds (0.0,): all must be above 0"),
        (["a.ply", "--samples", 0], "samples 0"),
        (["a.ply", "--seen-by", "config.yml"], "seen_by: is for a truth that is a mesh's file"),
        (["a.ply", "--truth", "a.ply", "--seen-by", "none.yml"], "none.yml: there is no such file"),
    ],
)
def test_bad_input_is_one_line(evaluate, tmp_path, options, message):
    save(trimesh.creation.icosphere(1), tmp_path / "a.ply")
    paths = [tmp_path / x if isinstance(x, str) and not x.startswith("-") else x for x in options]
    code, _, error = evaluate(*paths)
    assert code == 1
    assert message in error
    assert len(error.strip().splitlines()) == 1
