import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from nerf_plugins.errors import InputError
from nerf_plugins.export import mesh as meshes
from tests.export.surfaces import sphere


def facing_color(p, d):
    """Red where it is seen from +x, that is, along -x."""
    return torch.stack([-d[:, 0], torch.full_like(d[:, 0], 0.2), torch.zeros_like(d[:, 0])], dim=1)


@pytest.mark.parametrize("resolution", [32, 33])
def test_a_surface_that_leaves_the_box_is_closed_by_its_side(resolution):
    """Half a ball: its cap lies on the box, and nothing else changes."""
    half = sphere(0.5, (1.0, 0.0, 0.0))
    m = meshes.extract_closed_mesh(half, resolution)
    assert m.is_watertight
    assert m.volume == pytest.approx(2.0 / 3.0 * np.pi * 0.125, rel=0.02)
    assert m.vertices[:, 0].max() == pytest.approx(1.0, abs=0.1 * 2 / resolution)
    free = m.vertices[m.vertices[:, 0] < 0.98]
    assert np.abs(np.linalg.norm(free - [1.0, 0.0, 0.0], axis=1) - 0.5).max() < 1e-3


def test_a_box_that_is_inside_throughout_has_no_surface():
    with pytest.raises(InputError, match="never crossed"):
        meshes.extract_closed_mesh(sphere(5.0), 16)


def test_colours_are_seen_against_the_normal():
    surface = sphere(color=facing_color)
    m = meshes.extract_mesh(surface, 24)
    meshes.color_vertices(m, surface)
    red = m.visual.vertex_colors[:, 0] / 255.0
    np.testing.assert_allclose(red, np.clip(m.vertices[:, 0] / 0.7, 0.0, 1.0), atol=0.05)
    assert (m.visual.vertex_colors[:, 1] == 51).all()


@pytest.mark.parametrize(("ending", "normals"), [("ply", b"float nx"), ("obj", b"\nvn "), ("glb", b"NORMAL")])
def test_files_have_geometry_colours_and_normals(tmp_path: Path, ending, normals):
    surface = sphere(color=facing_color)
    m = meshes.extract_mesh(surface, 16)
    meshes.color_vertices(m, surface)
    path = tmp_path / "new" / f"mesh.{ending}"
    meshes.write_mesh(m, path)
    (back,) = trimesh.load_scene(path, process=False).geometry.values()
    assert back.faces.shape == m.faces.shape
    np.testing.assert_allclose(np.sort(back.vertices[:, 0]), np.sort(m.vertices[:, 0]), atol=1e-5)
    nearest = trimesh.proximity.closest_point(m, back.vertices)[0]
    assert np.abs(nearest - back.vertices).max() < 1e-5
    # Of a mesh with a material trimesh has them beside it.
    colors = back.visual.vertex_attributes["color"] if ending == "glb" else back.visual.vertex_colors
    red = colors[:, 0] / 255.0
    np.testing.assert_allclose(red, np.clip(back.vertices[:, 0] / 0.7, 0.0, 1.0), atol=0.05)
    assert normals in path.read_bytes()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("is_open", [False, True])
def test_a_glb_with_vertex_colours_is_matte_and_if_open_seen_from_behind(tmp_path: Path, is_open):
    surface = sphere(0.5, (1.0 if is_open else 0.0, 0.0, 0.0), color=facing_color)
    m = meshes.extract_mesh(surface, 16)
    meshes.color_vertices(m, surface)
    meshes.write_mesh(m, tmp_path / "mesh.glb")
    content = (tmp_path / "mesh.glb").read_bytes()
    tree = json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])
    (primitive,) = tree["meshes"][0]["primitives"]
    assert "COLOR_0" in primitive["attributes"]
    material = tree["materials"][primitive["material"]]
    assert material["doubleSided"] is is_open
    assert material["pbrMetallicRoughness"] == {"metallicFactor": 0.0, "roughnessFactor": 1.0}


def test_nothing_is_overwritten(tmp_path: Path):
    path = tmp_path / "mesh.ply"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"mesh\.ply exists and is not overwritten"):
        meshes.write_mesh(meshes.extract_mesh(sphere(), 8), path)
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        meshes.write_mesh(meshes.extract_mesh(sphere(), 8), tmp_path / "file" / "mesh.ply")
