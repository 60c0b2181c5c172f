"""From a surface to a mesh: cleaning, vertex colours, world units, files.

Meshes are `trimesh.Trimesh`; their vertex normals are the faces' around a vertex, weighted by angle.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.calls import call_size, in_calls
from nerf_plugins.data.crop import CropBox
from nerf_plugins.errors import InputError
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.export.marching_cubes import Track, marching_cubes
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


def extract_closed_mesh(surface: ImplicitSurface, resolution: int, track: Track = iter) -> Trimesh:
    """The surface of what is inside both the function's level and the box; as :func:`extract_mesh`, but without a border at the box.

    Raises:
        InputError: also where nothing but the box's own sides is left.
    """
    low, high = surface.aabb
    cell = float((high - low).max()) / resolution
    margin = 1e-3 * cell

    def value(positions: Tensor) -> Tensor:
        outside = ((positions < low - margin) | (positions > high + margin)).any(dim=-1)
        return torch.where(outside, surface.level + 1.0, surface.value(positions).float())

    mesh = extract_mesh(
        surface._replace(value=value, aabb=torch.stack([low - cell, high + cell])), resolution + 2, track
    )
    vertices = torch.from_numpy(mesh.vertices).to(low)
    at_box = ((vertices < low + 0.1 * cell) | (vertices > high - 0.1 * cell)).any(dim=-1)
    if at_box.all():
        raise InputError(
            f"the surface's level {surface.level:g} is never crossed in the box: all of it is inside; train longer"
        )
    return mesh


def largest_component(mesh: Trimesh) -> Trimesh:
    """The connected piece with the largest area."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    a, b = mesh.edges_unique.T
    n = len(mesh.vertices)
    _, label = connected_components(coo_matrix((np.ones(len(a), bool), (a, b)), shape=(n, n)), directed=False)
    label_of_face = label[mesh.faces[:, 0]]
    area = np.bincount(label_of_face, weights=mesh.area_faces)
    return keep_faces(mesh, label_of_face == area.argmax())


def keep_vertices(mesh: Trimesh, keep: npt.NDArray[np.bool_]) -> Trimesh:
    """The faces all of whose corners are kept.

    Raises:
        InputError: there are none.
    """
    return keep_faces(mesh, keep[mesh.faces].all(axis=1))


def keep_faces(mesh: Trimesh, keep: npt.NDArray[np.bool_]) -> Trimesh:
    """The kept faces, and the vertices that these have.

    Raises:
        InputError: there are none.
    """
    from trimesh import Trimesh

    if not keep.any():
        raise InputError("cleaning leaves nothing of the mesh: leave it out, or train longer")
    used, faces = np.unique(mesh.faces[keep], return_inverse=True)
    return Trimesh(mesh.vertices[used], faces.reshape(-1, 3), process=False)


def color_vertices(mesh: Trimesh, surface: ImplicitSurface) -> None:
    """Gives the mesh, still in the scene's space, the colour that each vertex has when it is looked at against its normal."""
    device = surface.aabb.device
    positions = torch.from_numpy(np.asarray(mesh.vertices, dtype=np.float32)).to(device)
    directions = -torch.from_numpy(np.asarray(mesh.vertex_normals, dtype=np.float32)).to(device)
    colors = in_calls(surface.color, positions, directions, size=call_size(device)).float().clamp(0.0, 1.0).cpu()
    opaque = torch.cat([colors, torch.ones_like(colors[:, :1])], dim=1)
    mesh.visual.vertex_colors = (255.0 * opaque).round().to(torch.uint8).numpy()  # type: ignore[union-attr]


def move_to_world(mesh: Trimesh, transform: Float[Tensor, "3 4"], scale: float) -> None:
    """Takes a mesh from the scene to the input data's world.

    Args:
        mesh: the mesh, changed in place.
        transform: nerfstudio's `dataparser_transform` T, and
        scale: its `dataparser_scale` s: `scene = s (T_R world + T_t)`.
    """
    to_scene = np.eye(4)
    to_scene[:3] = scale * transform.double().cpu().numpy()
    mesh.apply_transform(np.linalg.inv(to_scene))


def write_mesh(mesh: Trimesh, path: Path) -> None:
    """Writes a mesh with its colours and normals, in the format of the file's ending; the file is complete or not there.

    Raises:
        InputError: the file exists, or cannot be written.
    """
    normals = {"ply": "vertex_normal", "obj": "include_normals", "glb": "include_normals"}[path.suffix[1:]]
    with new_file(path, "--output-dir") as part:
        mesh.export(part, None, **{normals: True})
