"""From a surface to a mesh: triangles, vertex colours, files.

Meshes are `trimesh.Trimesh`; their vertex normals are the faces' around a vertex, weighted by angle.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nerf_plugins.calls import call_size, in_calls
from nerf_plugins.data.crop import CropBox
from nerf_plugins.errors import InputError
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.export.marching_cubes import Track, marching_cubes
from nerf_plugins.export.parts import keep_vertices
from nerf_plugins.files.writing import new_file

if TYPE_CHECKING:
    from trimesh import Trimesh


def model_mesh(model: Any, resolution: int, closed: bool = False, track: Track = iter, time: float = 0.0) -> Trimesh:
    """What a model shows of its surface, so cut to the run's crop; in the scene's space, without colours.

    Args:
        model: of this package.
        resolution: cells along the longest side of the scene box.
        closed: whether the mesh ends at the scene box's sides.
        track: passes the blocks on, as for `marching_cubes`.
        time: of a moving scene, in [0, 1].

    Raises:
        InputError: the model has no surface in world units, its level is never crossed, or the crop leaves nothing.
    """
    if not hasattr(model, "implicit_surface"):
        raise InputError(f"a {type(model).__name__} offers no surface: meshes are made of this package's methods")
    if not model.space.has_world_units:
        raise InputError(
            "this model lives in normalised device coordinates (llff-data), which have no mesh in world units"
        )
    mesh = (extract_closed_mesh if closed else extract_mesh)(model.implicit_surface(time), resolution, track)
    crop = getattr(model, "collider", None)
    if isinstance(crop, CropBox):
        mesh = keep_vertices(mesh, crop.contains(torch.from_numpy(mesh.vertices)).numpy())
    return mesh


def extract_mesh(surface: ImplicitSurface, resolution: int, track: Track = iter) -> Trimesh:
    """The surface in its scene's space, without colours. Arguments and errors are those of `marching_cubes`."""
    from trimesh import Trimesh

    vertices, faces = marching_cubes(surface, resolution, track=track)
    return Trimesh(vertices, faces, process=False)


def closed_surface(surface: ImplicitSurface, resolution: int) -> ImplicitSurface:
    """The surface of what is inside both the function's level and the box, in a box that is larger by a cell of ``resolution``."""
    low, high = surface.aabb
    cell = float((high - low).max()) / resolution
    margin = 1e-3 * cell

    def value(positions: Tensor) -> Tensor:
        outside = ((positions < low - margin) | (positions > high + margin)).any(dim=-1)
        return torch.where(outside, surface.level + 1.0, surface.value(positions).float())

    return surface._replace(value=value, aabb=torch.stack([low - cell, high + cell]))


def extract_closed_mesh(surface: ImplicitSurface, resolution: int, track: Track = iter) -> Trimesh:
    """:func:`extract_mesh` of the :func:`closed_surface`, without a border at the box.

    Raises:
        InputError: also where nothing but the box's own sides is left.
    """
    mesh = extract_mesh(closed_surface(surface, resolution), resolution + 2, track)
    low, high = surface.aabb
    cell = float((high - low).max()) / resolution
    vertices = torch.from_numpy(mesh.vertices).to(low)
    at_box = ((vertices < low + 0.1 * cell) | (vertices > high - 0.1 * cell)).any(dim=-1)
    if at_box.all():
        raise InputError(
            f"the surface's level {surface.level:g} is never crossed in the box: all of it is inside; train longer"
        )
    return mesh


def color_vertices(mesh: Trimesh, surface: ImplicitSurface) -> None:
    """Gives the mesh, still in the scene's space, the colour that each vertex has when it is looked at against its normal."""
    device = surface.aabb.device
    positions = torch.from_numpy(np.asarray(mesh.vertices, dtype=np.float32)).to(device)
    directions = -torch.from_numpy(np.asarray(mesh.vertex_normals, dtype=np.float32)).to(device)
    colors = in_calls(surface.color, positions, directions, size=call_size(device)).float().clamp(0.0, 1.0).cpu()
    opaque = torch.cat([colors, torch.ones_like(colors[:, :1])], dim=1)
    mesh.visual.vertex_colors = (255.0 * opaque).round().to(torch.uint8).numpy()  # type: ignore[union-attr]


def mesh_files(path: Path, textured: bool) -> list[Path]:
    """The files that a mesh's own file comes with, this one first: of a textured OBJ its material and textures too."""
    if not textured or path.suffix != ".obj":
        return [path]
    return [path, path.with_suffix(".mtl"), path.with_suffix(".png"), normal_map(path)]


def normal_map(path: Path) -> Path:
    """Where an OBJ's normal texture is."""
    return path.with_name(f"{path.stem}_normals.png")


def write_mesh(mesh: Trimesh, path: Path) -> None:
    """Writes a mesh with its normals and its colours or textures, in the format of the file's ending; each file is complete or not there.

    Raises:
        InputError: a file exists, or cannot be written.
    """
    if path.suffix == ".obj" and hasattr(mesh.visual, "uv"):
        _write_textured_obj(mesh, path)
        return
    options: dict[str, Any] = {"vertex_normal" if path.suffix == ".ply" else "include_normals": True}
    if path.suffix == ".glb" and not hasattr(mesh.visual, "uv"):
        options["tree_postprocessor"] = partial(_with_material, open_mesh=not mesh.is_watertight)
    with new_file(path, "--output-dir") as part:
        mesh.export(part, None, **options)


def _with_material(tree: dict[str, Any], open_mesh: bool) -> None:
    """Gives the header of a GLB with vertex colours a material like that of textured ones: the format's own is metal, and has no back."""
    matte = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    tree["materials"] = [{"name": "mesh", "pbrMetallicRoughness": matte, "doubleSided": open_mesh}]
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            primitive["material"] = 0


def _write_textured_obj(mesh: Trimesh, path: Path) -> None:
    from trimesh.exchange.obj import export_obj

    material: Any = mesh.visual.material  # type: ignore[union-attr]
    material.name = path.stem
    text, files = export_obj(mesh, include_normals=True, return_texture=True, mtl_name=path.with_suffix(".mtl").name)
    lines = files.pop(path.with_suffix(".mtl").name)
    # The line for normal textures of the format's PBR extension, which trimesh has not.
    files[path.with_suffix(".mtl").name] = lines + f"\nnorm {normal_map(path).name}\n".encode()
    with new_file(normal_map(path), "--output-dir") as part:
        material.normalTexture.save(part)
    for name, content in {**files, path.name: text.encode()}.items():
        with new_file(path.with_name(name), "--output-dir") as part:
            part.write_bytes(content)
