"""`nerf-plugins mesh`, in this process, on a run that was written without training."""

import contextlib
import re
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh
import yaml
from nerfstudio.cameras.cameras import Cameras

from nerf_plugins import cli
from nerf_plugins.data.crop import CropBox
from nerf_plugins.dataparsers.neus import NeusDataParserConfig
from nerf_plugins.errors import InputError
from nerf_plugins.export import command
from nerf_plugins.export.command import _progress, mesh_of
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.export.marching_cubes import marching_cubes
from nerf_plugins.export.options import MeshOptions
from nerf_plugins.fields.nerf_mlp import NeRFMLPConfig
from nerf_plugins.methods import vanilla_nerf
from nerf_plugins.scenes.cameras import look_at
from nerf_plugins.spaces import BoxSpace, NDCSpace
from tests.dataparsers.test_neus import SCALE
from tests.dataparsers.test_neus import write as write_scene
from tests.export.surfaces import BOX, sphere, surface, two_spheres


def write_run(place: Path) -> tuple[Path, torch.nn.Module]:
    """An untrained run on a scene in NeuS's layout: the config.yml, and the model, whose level lies amid its densities."""
    (place / "scene").mkdir()
    config = deepcopy(vanilla_nerf.method.config)
    config.output_dir, config.experiment_name, config.timestamp = place, "e", "t"
    config.pipeline.datamanager.dataparser = NeusDataParserConfig(data=write_scene(place / "scene", masks=10))
    config.pipeline.model.field = NeRFMLPConfig(D=2, W=32, skips=())
    config.pipeline.model.occupancy.grid.resolution = 8
    torch.manual_seed(0)
    pipeline = config.pipeline.setup(device="cpu", test_mode="inference")
    random = 2.0 * torch.rand(2000, 3) - 1.0
    config.pipeline.model.surface_density = float(-pipeline.model.implicit_surface().value(random).median())
    folder = config.get_base_dir()
    config.get_checkpoint_dir().mkdir(parents=True)
    torch.save({"pipeline": pipeline.state_dict(), "step": 0}, config.get_checkpoint_dir() / "step-000000000.ckpt")
    (folder / "config.yml").write_text(yaml.dump(config))
    return folder / "config.yml", pipeline.model


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["mesh", *arguments])
    return stopped.value.code


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.mark.usefixtures("without_type_checker")  # nerfstudio declares a device's name and hands a torch.device over
def test_a_density_becomes_a_mesh_in_world_units(untrained, capsys):
    config, model = untrained
    assert run("--load-config", str(config), "--resolution", "12", "--formats", "ply", "obj") == 0
    paths = [config.parent / "mesh" / f"mesh.{ending}" for ending in ("ply", "obj")]
    assert capsys.readouterr().out.split()[-2:] == [str(path) for path in paths]
    level = yaml.load(config.read_text(), Loader=yaml.Loader).pipeline.model.surface_density
    scene, faces = marching_cubes(model.implicit_surface()._replace(level=-level), 12)
    assert np.ptp(scene, axis=0).min() > 1.0
    for path in paths:
        mesh = trimesh.load(path, process=False)
        assert len(mesh.faces) == len(faces)
        np.testing.assert_allclose(mesh.triangles, 250.0 * scene[faces] + SCALE[:3, 3], atol=1e-3)


@pytest.mark.usefixtures("without_type_checker")
def test_a_run_that_was_moved(tmp_path, monkeypatch, capsys):
    config, _ = write_run(tmp_path)
    config.parent.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    assert run("--load-config", "moved/config.yml", "--resolution", "8", "--formats", "ply") == 0
    assert (tmp_path / "moved/mesh/mesh.ply").is_file()
    assert not config.parent.exists()


@pytest.mark.usefixtures("without_type_checker")
def test_a_runs_folder_stands_for_its_config(untrained, tmp_path, capsys):
    config, _ = untrained
    folder = str(config.parent)
    assert run("--load-config", folder, "--resolution", "8", "--output-dir", str(tmp_path / "mesh")) == 0
    above = one_line(capsys, "--load-config", str(config.parents[2]))
    assert (
        f"--load-config {config.parents[2]}: is a folder without config.yml, whose newest run is {config}; give"
        in above
    )
    (tmp_path / "empty").mkdir()
    assert "empty: is a folder without config.yml; give the config.yml of a run" in one_line(
        capsys, "--load-config", str(tmp_path / "empty")
    )


def test_nothing_is_overwritten(untrained, tmp_path, capsys):
    config, _ = untrained
    (tmp_path / "mesh.obj").write_text("mine")
    options = ["--load-config", str(config), "--output-dir", str(tmp_path), "--formats", "ply", "obj"]
    assert run(*options) == 1
    assert "mesh.obj exists and is not overwritten" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mesh.obj"]
    assert (tmp_path / "mesh.obj").read_text() == "mine"


def one_line(capsys, *arguments: str) -> str:
    assert run(*arguments) == 1
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    return error


def test_runs_that_are_none(untrained, tmp_path, capsys):
    config, _ = untrained
    assert "there is no such file" in one_line(capsys, "--load-config", str(tmp_path / "none.yml"))
    bad = tmp_path / "config.yml"
    bad.write_text("just: a dict")
    assert "is of no method that is installed" in one_line(capsys, "--load-config", str(bad))
    bad.write_text("!!python/object:nowhere.Class {}")
    assert "cannot be read" in one_line(capsys, "--load-config", str(bad))
    moved = yaml.load(config.read_text(), Loader=yaml.Loader)
    moved.output_dir = tmp_path
    bad.write_text(yaml.dump(moved))
    assert "has no checkpoint" in one_line(capsys, "--load-config", str(bad))


@pytest.mark.parametrize(("option", "value"), [("--resolution", "0"), ("--mask-margin", "-1")])
def test_bad_options(untrained, capsys, option, value):
    assert option[2:].replace("-", "_") in one_line(capsys, "--load-config", str(untrained[0]), option, value)


def test_a_resolution_that_no_memory_holds_is_refused_before_anything_is_loaded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "machine_memory", lambda: 16 * 2**30)
    none = str(tmp_path / "none.yml")
    message = one_line(capsys, "--load-config", none, "--resolution", "100000")
    assert message.startswith("error: resolution 100000: a surface across the box needs about 6519 GiB of memory")
    most = int(message.split()[-4])
    assert message.endswith(f"and this machine has 16: give {most} cells at most")
    assert "there is no such file" in one_line(capsys, "--load-config", none, "--resolution", str(most))
    assert "GiB" in one_line(capsys, "--load-config", none, "--resolution", str(most + 1))
    monkeypatch.setattr(command, "machine_memory", lambda: None)
    assert "there is no such file" in one_line(capsys, "--load-config", none, "--resolution", "100000")


def test_the_memory_of_the_machine_or_of_its_container(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(command, "_CONTAINER_LIMIT", limit)
    whole = command.machine_memory()
    assert whole is not None
    assert whole > 2**28
    limit.write_text("max\n")
    assert command.machine_memory() == whole
    limit.write_text(f"{whole // 2}\n")
    assert command.machine_memory() == whole // 2


def pipeline_with(surface, space=None, **datamanager) -> tuple[SimpleNamespace, SimpleNamespace]:
    """A model and a data manager whose world is twice as large as the scene."""
    outputs = SimpleNamespace(dataparser_transform=torch.eye(4)[:3], dataparser_scale=0.5)
    model = SimpleNamespace(
        implicit_surface=lambda time: surface,
        space=space or BoxSpace(torch.tensor(BOX)),
        shown=lambda weights: contextlib.nullcontext(),
    )
    return model, SimpleNamespace(train_dataparser_outputs=outputs, **datamanager)


def options(**changes) -> MeshOptions:
    return MeshOptions(load_config=Path("config.yml"), **{"resolution": 32, **changes})


def test_a_log_file_gets_a_line_for_each_tenth(capsys):
    blocks = list(range(64))
    lines = []
    for block in _progress(blocks):
        lines.append((block, capsys.readouterr().out))
    lines.append((len(blocks), capsys.readouterr().out))
    assert [block for block, _ in lines] == [*blocks, 64]
    printed = {done: text for done, text in lines if text}
    assert printed.pop(0) == "Evaluating 64 blocks\n"
    assert list(printed) == [7, 13, 20, 26, 32, 39, 45, 52, 58, 64]  # ceil(6.4 k)
    assert re.fullmatch(r"32 of 64 blocks, about \d+ s left\n", printed[32])


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(command.CONSOLE, "is_interactive", True)
    assert list(_progress([1, 2, 3])) == [1, 2, 3]
    out = capsys.readouterr().out
    assert "Evaluating blocks" in out
    assert "of 3 blocks" not in out


def test_the_largest_component_if_it_is_asked_for():
    pipeline = pipeline_with(two_spheres())
    assert len(mesh_of(*pipeline, options()).split()) == 2
    mesh = mesh_of(*pipeline, options(largest_component=True))
    np.testing.assert_allclose(mesh.bounds.mean(axis=0), [0.9, 0.0, 0.0], atol=0.01)
    assert (mesh.visual.vertex_colors[:, :3] == 128).all()


def test_masks_cut_off_what_is_outside(untrained, tmp_path):
    """The masks of the scene in NeuS's layout let the left half of each image pass; its cameras look about along +z, with y down."""
    scene = write_scene(tmp_path, masks=10)
    manager = deepcopy(vanilla_nerf.method.config.pipeline.datamanager)
    manager.dataparser = NeusDataParserConfig(data=scene)
    dataset = manager.setup(device="cpu", test_mode="inference").train_dataset
    pipeline = pipeline_with(sphere(0.3), train_dataset=dataset)
    whole, part = mesh_of(*pipeline, options()), mesh_of(*pipeline, options(masks="most", mask_margin=0))
    assert 0.2 < part.area / whole.area < 0.8
    assert part.triangles_center[:, 0].mean() < whole.triangles_center[:, 0].mean() - 0.1
    wider = mesh_of(*pipeline, options(masks="most", mask_margin=2))
    assert part.area < wider.area < whole.area
    assert mesh_of(*pipeline, options(masks="any", mask_margin=0)).area < part.area


def test_without_masks_nothing_is_evaluated_for_them(tmp_path, monkeypatch):
    manager = deepcopy(vanilla_nerf.method.config.pipeline.datamanager)
    manager.dataparser = NeusDataParserConfig(data=write_scene(tmp_path))
    dataset = manager.setup(device="cpu", test_mode="inference").train_dataset
    monkeypatch.setattr(command, "model_mesh", lambda *_: pytest.fail("the field was evaluated"))
    with pytest.raises(InputError, match=r"no training image has an alpha channel, .*: leave --masks out"):
        mesh_of(*pipeline_with(sphere(0.3), train_dataset=dataset), options(masks="most"))


def photos_from(*positions: tuple[float, float, float]) -> SimpleNamespace:
    """A dataset of cameras that look at the scene's middle."""
    poses = torch.from_numpy(np.stack([look_at(np.array(x), np.zeros(3))[:3] for x in positions])).float()
    return SimpleNamespace(cameras=Cameras(poses, 200.0, 200.0, 100.0, 100.0, 200, 200))


def two_shells() -> ImplicitSurface:
    """A hollow ball: of radius 0.5 outside, and an inner surface of 0.25 that faces the middle, where a small ball is."""
    return surface(lambda p: torch.minimum((p.norm(dim=1) - 0.375).abs() - 0.125, p.norm(dim=1) - 0.125))


def test_what_no_photo_sees_is_dropped_and_said(capsys):
    photos = photos_from((3.0, 0.0, 0.0), (0.0, 3.0, 0.1))
    pipeline = pipeline_with(two_shells(), train_dataset=photos)
    whole = mesh_of(*pipeline, options())
    assert "dropped" not in capsys.readouterr().out
    assert np.linalg.norm(whole.vertices, axis=1).min() < 0.3
    one = mesh_of(*pipeline, options(min_views=1, view_margin=0))
    said = " ".join(capsys.readouterr().out.split())
    found = re.search(
        r"(\d+) of (\d+) triangles dropped that none of 2 training photos sees, with (\d+\.\d+)% of the area; 1 part left",
        said,
    )
    assert found, said
    assert (int(found[1]), int(found[2])) == (len(whole.faces) - len(one.faces), len(whole.faces))
    assert float(found[3]) == pytest.approx(100.0 * (1.0 - one.area / whole.area), abs=0.01)
    # In the world, twice as large: the outer ball alone, without the side that is away from both cameras.
    assert np.linalg.norm(one.vertices, axis=1).min() > 0.95
    assert (one.triangles_center[:, :2].max(axis=1) > 0.0).all()
    two = mesh_of(*pipeline, options(min_views=2, view_margin=0))
    assert "dropped that fewer than 2 of 2 training photos see, with" in " ".join(capsys.readouterr().out.split())
    assert (two.triangles_center[:, :2] > 0.0).all()
    assert len(two.faces) < len(mesh_of(*pipeline, options(min_views=2)).faces) < len(one.faces)


def test_nothing_is_dropped_that_photos_from_all_sides_see(capsys):
    sides = 3.0 * np.concatenate([np.eye(3), -np.eye(3)]) + [0.0, 0.01, 0.02]
    pipeline = pipeline_with(sphere(0.5), train_dataset=photos_from(*map(tuple, sides)))
    assert mesh_of(*pipeline, options(min_views=1)).is_watertight
    assert "no triangle dropped that none of 6 training photos sees" in " ".join(capsys.readouterr().out.split())


def test_what_lies_outside_the_point_still_hides(capsys):
    """The ball around the middle of two shells has the inner one alone, which no photo sees."""
    pipeline = pipeline_with(two_shells(), train_dataset=photos_from((3.0, 0.0, 0.0)))
    near = {"point": (0.0, 0.0, 0.0), "radius": 0.7}
    assert len(mesh_of(*pipeline, options(**near)).faces) > 100
    with pytest.raises(InputError, match="nothing of the surface is in this ball"):
        mesh_of(*pipeline, options(**near, min_views=1))


def test_photos_are_counted_before_anything_is_evaluated(monkeypatch):
    monkeypatch.setattr(command, "model_mesh", lambda *_: pytest.fail("the field was evaluated"))
    with pytest.raises(InputError, match="min_views 2: the run has 1 training photo: give no more"):
        mesh_of(*pipeline_with(sphere(0.3), train_dataset=photos_from((3.0, 0.0, 0.0))), options(min_views=2))


def test_what_is_dropped_and_what_needs_no_simplifying_is_said(capsys):
    def said(surface, **changes) -> str:
        mesh_of(*pipeline_with(surface), options(**changes))
        return " ".join(capsys.readouterr().out.split())

    assert re.search(
        r"1 of 2 parts dropped, with 3[56]\.\d+% of the area and 3\d\.\d+% of the triangles",
        said(two_spheres(), largest_component=True),
    )
    assert "no part dropped, of 1" in said(sphere(0.3), largest_component=True)
    assert re.search(
        r"not simplified: (\d+) triangles are no more than --faces 100000 .* \1 triangles",
        said(sphere(0.3), faces=100_000),
    )
    assert "not simplified" not in said(sphere(0.3), faces=100)


def test_a_textured_mesh_in_fewer_triangles_upright(tmp_path, capsys):
    """Of a world whose y is down in the photos; all is said, in world units."""
    model, manager = pipeline_with(two_spheres())
    poses = torch.eye(4)[None, :3].clone()
    poses[0, 1, 1] = -1.0
    manager.train_dataparser_outputs.cameras = SimpleNamespace(camera_to_worlds=poses)
    mesh = mesh_of(model, manager, options(faces=500, texture=64, up="z", min_part=0.4))
    said = " ".join(capsys.readouterr().out.split())
    assert 400 < len(mesh.faces) <= 500
    assert mesh.visual.material.baseColorTexture.size == (64, 64)
    np.testing.assert_allclose(mesh.bounds.mean(axis=0), [0.9, 0.0, 0.0], atol=0.02)
    assert re.search(r"1 of 2 parts dropped, with 3[56]\.\d+% of the area", said)
    assert re.search(
        r"triangles simplified to \d+; the surface is away from them: mean 0\.00\d+ \(0\.\d+% of the", said
    )
    assert "500 triangles, closed" in said
    assert "in the input data's units; the data's -y is now +z, up (the cameras' mean up is 0 degrees from it)" in said


def test_holes_are_closed_only_if_it_is_asked_for(capsys):
    pipeline = pipeline_with(sphere(0.5, (0.6, 0.0, 0.0)))  # it leaves the box
    assert not mesh_of(*pipeline, options()).is_watertight
    assert "closed" not in capsys.readouterr().out
    assert mesh_of(*pipeline, options(close_holes=1000)).is_watertight
    assert "1 hole closed, 0 larger ones left open" in capsys.readouterr().out


def test_a_thing_is_picked_by_a_point_of_the_world():
    model, manager = pipeline_with(two_spheres())
    mesh = mesh_of(model, manager, options(point=(-1.0, 0.1, 0.0), radius=0.8))  # (-0.5, 0.05, 0) in the scene
    np.testing.assert_allclose(mesh.bounds.mean(axis=0), [-1.0, 0.0, 0.0], atol=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"texture": 64, "formats": ("ply",)}, "formats ply: it holds no textures"),
        ({"texture": 100_000}, "texture 100000: no viewer takes more than 16384 texels"),
        ({"faces": 3}, "faces 3: give 4 triangles or more"),
        ({"min_part": 1.0}, "min_part 1: give a share"),
        ({"close_holes": -1}, "close_holes -1: give 0 edges or more"),
        ({"point": (0.0, 0.0, 0.0)}, "point and radius: give both"),
        ({"point": (0.0, 0.0, 0.0), "radius": 0.0}, "radius 0: give one above 0"),
        ({"min_views": -1}, "min_views -1: give 0 photos or more"),
        ({"view_margin": -1}, "view_margin -1: give 0 rings or more"),
        ({"min_views": 1, "close_at_box": True}, "min_views and close_at_box: no photo sees"),
        ({"table": "drop"}, "table drop: give the object's place too"),
    ],
)
def test_options_that_do_not_go_together(changes, message):
    with pytest.raises(InputError, match=message):
        command.check(options(**changes))


def test_a_textured_mesh_is_a_glb_if_nothing_is_said():
    assert command.formats_of(options()) == ("ply",)
    assert command.formats_of(options(texture=64)) == ("glb",)


def test_what_a_run_crops_its_mesh_has_not():
    model, manager = pipeline_with(sphere(0.5))  # of radius 1 in the world
    outputs = manager.train_dataparser_outputs
    box = torch.tensor([[-2.0, -2.0, -2.0], [2.0, 0.25, 2.0]])
    model.collider = CropBox(box, outputs.dataparser_transform, outputs.dataparser_scale)
    mesh = mesh_of(model, manager, options())
    assert mesh.bounds[0, 1] == pytest.approx(-1.0, abs=0.02)
    assert 0.1 < mesh.bounds[1, 1] <= 0.25


def test_device_coordinates_are_refused():
    pipeline = pipeline_with(sphere(), space=NDCSpace(torch.tensor(BOX), 1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="normalised device coordinates"):
        mesh_of(*pipeline, options())


def test_other_models_are_refused():
    with pytest.raises(InputError, match="offers no surface"):
        mesh_of(SimpleNamespace(), None, options())


def test_a_mesh_is_of_the_time_that_is_asked_for():
    surfaces = {0.0: sphere(0.3), 0.5: sphere(0.6)}
    model, datamanager = pipeline_with(surfaces[0.0])
    model.implicit_surface, model.field = surfaces.__getitem__, SimpleNamespace(needs={"times"})
    for time, radius in ((None, 0.3), (0.0, 0.3), (0.5, 0.6)):
        mesh = mesh_of(model, datamanager, options(time=time))
        np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), 4 * radius, atol=0.1)
    model.field.needs = set()
    with pytest.raises(InputError, match=r"time 0\.5: this model knows no times"):
        mesh_of(model, datamanager, options(time=0.5))
    with pytest.raises(InputError, match=r"time 2: give one in \[0, 1\]"):
        command.export_mesh(options(time=2.0))
