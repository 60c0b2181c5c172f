"""Textures, of surfaces whose colours and normals are known, and as readers of the files find them."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import trimesh
from PIL import Image

from nerf_plugins.errors import InputError
from nerf_plugins.export import mesh as meshes
from nerf_plugins.export import texture
from nerf_plugins.export.simplify import simplify
from nerf_plugins.export.texture import texture_mesh, unwrap
from nerf_plugins.geometry.raster import rasterize
from tests.export.surfaces import sphere

SIZE = 128


def by_place(p, d):
    """Colour by place, and in blue how squarely it is seen from outside."""
    return torch.stack([0.5 + 0.6 * p[:, 0], 0.5 + 0.6 * p[:, 1], -(d * F.normalize(p, dim=1)).sum(1)], dim=1)


@pytest.fixture(scope="module")
def ball() -> trimesh.Trimesh:
    """A sphere of 400 faces with the texture of the smooth one."""
    surface = sphere(0.7, color=by_place)
    return texture_mesh(simplify(meshes.extract_mesh(surface, 24), 400), surface, SIZE, reach=0.1, eps=0.01)


def texels(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Row, column, point on the mesh and interpolated normal of each covered texel, found as a viewer does: from the files' UV."""
    (part,) = rasterize(mesh.visual.uv[mesh.faces] * [SIZE, -SIZE] + [0, SIZE], SIZE, SIZE)
    at = lambda x: np.einsum("nk,nki->ni", part.weights, x[mesh.faces[part.face]])  # noqa: E731
    normals = at(mesh.vertex_normals)
    return part.row, part.column, at(mesh.vertices), normals / np.linalg.norm(normals, axis=1, keepdims=True)


@pytest.mark.parametrize("piece", [60, 4096])
def test_the_atlas_covers_each_face_once(monkeypatch, piece):
    monkeypatch.setattr(texture, "FACES_OF_A_PIECE", piece)
    mesh = simplify(meshes.extract_mesh(sphere(), 24), 400)
    atlas = unwrap(mesh, 256)
    assert atlas.uv.min() >= 0.0
    assert atlas.uv.max() <= 1.0
    rows = lambda faces: sorted(map(tuple, np.sort(faces, axis=1).tolist()))  # noqa: E731
    assert rows(atlas.vertices[atlas.faces]) == rows(mesh.faces)
    hits = np.zeros((256, 256), int)
    for part in rasterize(atlas.uv[atlas.faces] * 256, 256, 256):
        inner = part.weights.min(axis=1) > 1e-6  # not on a side that two faces share
        np.add.at(hits, (part.row[inner], part.column[inner]), 1)
    assert hits.max() == 1
    assert hits.mean() > 0.4
    # Faces stay facing outwards.
    unwrapped = trimesh.Trimesh(mesh.vertices[atlas.vertices], atlas.faces, process=False)
    assert unwrapped.volume == pytest.approx(mesh.volume)


def test_texels_have_the_colour_of_the_surface_seen_against_its_normal(ball):
    row, column, points, _ = texels(ball)
    colors = np.asarray(ball.visual.material.baseColorTexture)[row, column] / 255.0
    on_surface = 0.7 * points / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_allclose(colors[:, :2], 0.5 + 0.6 * on_surface[:, :2], atol=0.015)
    assert colors[:, 2].min() > 0.98


def test_the_normal_map_gives_the_surfaces_normals(ball):
    """Decoded as three.js does it without tangents in the file: frames by the derivatives of position and UV, up in the image positive."""
    row, column, points, normals = texels(ball)
    local = np.asarray(ball.visual.material.normalTexture)[row, column] / 127.5 - 1.0
    (part,) = rasterize(ball.visual.uv[ball.faces] * [SIZE, -SIZE] + [0, SIZE], SIZE, SIZE)
    corners, uv = ball.vertices[ball.faces[part.face]], ball.visual.uv[ball.faces[part.face]]
    # p = corner + J (uv - corner's uv), with J the 3x2 derivatives.
    edges, sides = corners[:, 1:] - corners[:, :1], uv[:, 1:] - uv[:, :1]
    t, b = np.einsum("nij,njk->ink", np.linalg.inv(sides), edges)
    frame = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (t, b, normals)]
    seen = sum(local[:, [k]] * frame[k] for k in range(3))
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    true = points / np.linalg.norm(points, axis=1, keepdims=True)
    errors = np.degrees(np.arccos(np.clip((seen * true).sum(1), -1, 1)))
    without = np.degrees(np.arccos(np.clip((ball.face_normals[part.face] * true).sum(1), -1, 1)))
    assert np.median(errors) < 1.0
    assert np.quantile(errors, 0.99) < 5.0
    assert np.median(errors) < 0.3 * np.median(without)


def test_gaps_have_the_nearest_texels_values(ball):
    colors = np.asarray(ball.visual.material.baseColorTexture)
    row, column, *_ = texels(ball)
    assert len(np.unique(row * SIZE + column)) < 0.95 * SIZE**2
    assert (colors[..., 2] > 250).all()


def test_memory_is_bounded_by_pieces(monkeypatch, ball):
    """The same in many pieces."""
    from nerf_plugins.geometry import raster

    monkeypatch.setattr(raster, "PIXELS_AT_ONCE", 500)
    most = []

    def counted(p, d):
        most.append(len(p))
        return by_place(p, d)

    surface = sphere(0.7, color=counted)
    again = texture_mesh(simplify(meshes.extract_mesh(surface, 24), 400), surface, SIZE, reach=0.1, eps=0.01)
    assert max(most) < 1500
    for name in ("baseColorTexture", "normalTexture"):
        one, other = (np.asarray(getattr(m.visual.material, name)).astype(int) for m in (ball, again))
        assert (np.abs(one - other).max(axis=-1) <= 1).mean() > 0.999  # but for centres on a side of two faces


def test_a_glb_has_a_pbr_material_with_both_textures(ball, tmp_path: Path):
    meshes.write_mesh(ball, tmp_path / "mesh.glb")
    (back,) = trimesh.load_scene(tmp_path / "mesh.glb", process=False).geometry.values()
    np.testing.assert_allclose(back.visual.uv, ball.visual.uv, atol=1e-6)
    np.testing.assert_allclose(back.vertices, ball.vertices, atol=1e-6)
    np.testing.assert_allclose(back.vertex_normals, ball.vertex_normals, atol=1e-5)
    for name in ("baseColorTexture", "normalTexture"):
        images = [np.asarray(getattr(m.visual.material, name)) for m in (ball, back)]
        np.testing.assert_array_equal(*images)
    assert back.visual.material.metallicFactor == 0.0
    assert not back.visual.material.doubleSided


def test_an_open_mesh_is_seen_from_behind(tmp_path: Path):
    surface = sphere(0.7, color=by_place)
    whole = simplify(meshes.extract_mesh(surface, 24), 400)
    half = whole.slice_plane([0.0, 0.0, 0.0], [0.0, 0.0, 1.0])
    meshes.write_mesh(texture_mesh(half, surface, SIZE, reach=0.1, eps=0.01), tmp_path / "half.glb")
    (back,) = trimesh.load_scene(tmp_path / "half.glb", process=False).geometry.values()
    assert back.visual.material.doubleSided


def test_an_obj_comes_with_its_material_and_textures(ball, tmp_path: Path):
    path = tmp_path / "mesh.obj"
    meshes.write_mesh(ball, path)
    assert {p.name for p in tmp_path.iterdir()} == {"mesh.obj", "mesh.mtl", "mesh.png", "mesh_normals.png"}
    assert set(meshes.mesh_files(path, textured=True)) == set(tmp_path.iterdir())
    back = trimesh.load(path, force="mesh", process=False)
    assert len(back.faces) == len(ball.faces)
    np.testing.assert_array_equal(
        np.asarray(back.visual.material.image), np.asarray(ball.visual.material.baseColorTexture)
    )
    lines = (tmp_path / "mesh.mtl").read_text().split("\n")
    assert "map_Kd mesh.png" in lines
    assert "norm mesh_normals.png" in lines
    normals = np.asarray(Image.open(tmp_path / "mesh_normals.png"))
    np.testing.assert_array_equal(normals, np.asarray(ball.visual.material.normalTexture))
    with pytest.raises(InputError, match="exists and is not overwritten"):
        meshes.write_mesh(ball, path)
