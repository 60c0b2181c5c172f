"""Textured meshes: a UV atlas, and colours and normals of the surface baked into its texels.

UV coordinates have their origin at the texture's lower left corner, as in OBJ; the texel in row i and column j of an image of N x N has
its centre at u = (j + 1/2) / N, v = 1 - (i + 1/2) / N.

A texel's point on the mesh is moved along the mesh's smooth normal n to the surface itself. There it gets the colour that is seen
against the surface's normal m, and m in the frame that glTF's viewers have too: t = ∂p/∂u less its part along n, and b = ± n x t with
the sign that makes it point to growing v; the texture holds (m·t, m·b, m·n) in [-1, 1]³ as (1 + x) / 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from nerf_plugins.calls import call_size, in_calls
from nerf_plugins.export.implicit import ImplicitSurface
from nerf_plugins.export.projection import project, surface_normals
from nerf_plugins.geometry.raster import Fragments, rasterize

if TYPE_CHECKING:
    from trimesh import Trimesh

FACES_OF_A_PIECE = 4096
"""xatlas' time grows with the square of a piece's faces: 100,000 in one piece took 67 s of CPU, in 32 pieces 7."""
PADDING = 2
"""Texels between charts."""


class Texture(NamedTuple):
    """Square images of one size, without gaps: texels that no face covers have the values of the nearest one that is covered."""

    colors: UInt8[np.ndarray, "size size 3"]
    normals: UInt8[np.ndarray, "size size 3"]


class Unwrapped(NamedTuple):
    """A mesh cut along the borders of its charts.

    Attributes:
        vertices: index of the mesh's vertex that each one is a copy of.
        faces: their corners; the mesh's faces, perhaps in another order.
        uv: of the vertices, in [0, 1].
    """

    vertices: Int[np.ndarray, "v"]
    faces: Int[np.ndarray, "f 3"]
    uv: Float[np.ndarray, "v 2"]


def unwrap(mesh: Trimesh, size: int) -> Unwrapped:
    """A UV atlas for a texture of ``size`` x ``size`` texels: charts do not overlap, and are stretched little.

    Source: xatlas.
    """
    import xatlas

    vertices, faces = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces)
    # At about 1 a unit, so that the thresholds which xatlas has for areas fit any scene.
    vertices = (vertices - vertices.min(axis=0)) / np.ptp(vertices, axis=0).max()
    pieces = _pieces(vertices[faces].mean(axis=1), np.arange(len(faces)))
    atlas, used = xatlas.Atlas(), []
    for piece in pieces:
        own, corners = np.unique(faces[piece], return_inverse=True)
        used.append(own)
        atlas.add_mesh(vertices[own], corners.reshape(-1, 3).astype(np.uint32))
    packing = xatlas.PackOptions()
    packing.resolution, packing.padding = size, PADDING
    atlas.generate(xatlas.ChartOptions(), packing)
    parts = [atlas[i] for i in range(len(pieces))]
    starts = np.cumsum([0] + [len(part[0]) for part in parts])
    scale = np.array([atlas.width, atlas.height]) / max(atlas.width, atlas.height)  # the texture is square
    return Unwrapped(
        np.concatenate([own[part[0]] for own, part in zip(used, parts)]),
        np.concatenate([part[1].astype(np.int64) + start for part, start in zip(parts, starts)]),
        np.concatenate([part[2] for part in parts]).astype(np.float64) * scale,
    )


def _pieces(centres: Float[np.ndarray, "f 3"], faces: Int[np.ndarray, "n"]) -> list[Int[np.ndarray, "m"]]:
    """Faces in pieces of bounded size that lie together: halved across their longest side again and again."""
    if len(faces) <= FACES_OF_A_PIECE:
        return [faces]
    own = centres[faces]
    order = np.argsort(own[:, np.ptp(own, axis=0).argmax()], kind="stable")
    half = len(faces) // 2
    return _pieces(centres, faces[order[:half]]) + _pieces(centres, faces[order[half:]])


def texture_mesh(mesh: Trimesh, surface: ImplicitSurface, size: int, reach: float, eps: float) -> Trimesh:
    """The mesh, still in the scene's space, with a UV atlas and a material of baked textures.

    Args:
        mesh: the mesh; its normals stay smooth across the charts' borders.
        surface: what it is a mesh of.
        size: texels along a side of the textures.
        reach: how far from the mesh the surface is looked for.
        eps: half the size of the details that the normals show.
    """
    from PIL import Image
    from trimesh import Trimesh
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    atlas = unwrap(mesh, size)
    vertices, normals = np.asarray(mesh.vertices)[atlas.vertices], np.asarray(mesh.vertex_normals)[atlas.vertices]
    texture = bake(vertices, normals, atlas, surface, size, reach, eps)
    material = PBRMaterial(
        name="mesh",
        baseColorTexture=Image.fromarray(texture.colors),
        normalTexture=Image.fromarray(texture.normals),
        metallicFactor=0.0,
        roughnessFactor=1.0,
        doubleSided=not mesh.is_watertight,  # an open one is looked at from behind too
    )
    visual = TextureVisuals(uv=atlas.uv, material=material)
    return Trimesh(vertices, atlas.faces, vertex_normals=normals, visual=visual, process=False)


def bake(
    vertices: Float[np.ndarray, "v 3"],
    normals: Float[np.ndarray, "v 3"],
    atlas: Unwrapped,
    surface: ImplicitSurface,
    size: int,
    reach: float,
    eps: float,
) -> Texture:
    """The textures of a mesh; memory is bounded by the images' own.

    Args:
        vertices: of the atlas, in the scene's space.
        normals: unit normals of these.
        atlas: faces and UV coordinates.
        surface: what is baked.
        size: texels along a side.
        reach: how far from the mesh the surface is looked for; where it is not found, the mesh is taken for it.
        eps: half the size of the details that the normals show.
    """
    tangents = _tangents(vertices, atlas)
    images = np.zeros((2, size, size, 3), np.uint8)
    covered = np.zeros((size, size), bool)
    for part in rasterize(atlas.uv[atlas.faces] * [size, -size] + [0, size], size, size):
        corners = atlas.faces[part.face]
        positions, smooth = (_at(x, corners, part) for x in (vertices, normals))
        smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
        colors, true = _look(surface, positions, smooth, reach, eps)
        frame = _frames(smooth, tangents[:, part.face])
        images[0, part.row, part.column] = _bytes(colors)
        images[1, part.row, part.column] = _bytes(0.5 + 0.5 * np.einsum("kni,ni->nk", frame, true))
        covered[part.row, part.column] = True
    return Texture(*_filled(images, covered))


def _at(values: np.ndarray, corners: np.ndarray, part: Fragments) -> np.ndarray:
    """Values of vertices, interpolated."""
    return np.einsum("nk,nki->ni", part.weights, values[corners])


def _look(
    surface: ImplicitSurface, positions: np.ndarray, normals: np.ndarray, reach: float, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Colours and normals of the surface at points near it."""
    device = surface.aabb.device
    p, n = (torch.from_numpy(x.astype(np.float32)).to(device) for x in (positions, normals))
    p = p + project(surface, p, n, reach).offsets[:, None] * n
    true = surface_normals(surface, p, eps)
    true = torch.where((true * n).sum(-1, keepdim=True) > 0.0, true, n)  # not those of another side
    colors = in_calls(surface.color, p, -true, size=call_size(device))
    return colors.float().cpu().numpy(), true.cpu().numpy()


def _tangents(vertices: np.ndarray, atlas: Unwrapped) -> Float[np.ndarray, "2 f 3"]:
    """Of each face: ∂p/∂u and ∂p/∂v, but for a positive factor."""
    a, b, c = vertices[atlas.faces].swapaxes(0, 1)
    s, t, r = atlas.uv[atlas.faces].swapaxes(0, 1)
    (du1, dv1), (du2, dv2) = (t - s).T, (r - s).T
    sign = np.sign(du1 * dv2 - du2 * dv1)[:, None]
    of_u = sign * (dv2[:, None] * (b - a) - dv1[:, None] * (c - a))
    of_v = sign * (du1[:, None] * (c - a) - du2[:, None] * (b - a))
    return np.stack([of_u, of_v])


def _frames(normals: np.ndarray, tangents: np.ndarray) -> Float[np.ndarray, "3 n 3"]:
    """(t, b, n) of the module's docstring."""
    of_u, of_v = tangents
    t = of_u - (of_u * normals).sum(-1, keepdims=True) * normals
    t /= np.maximum(np.linalg.norm(t, axis=1, keepdims=True), 1e-30)
    b = np.cross(normals, t)
    b *= np.where((b * of_v).sum(-1, keepdims=True) < 0.0, -1.0, 1.0)
    return np.stack([t, b, normals])


def _bytes(values: np.ndarray) -> UInt8[np.ndarray, "..."]:
    return np.rint(255.0 * np.clip(values, 0.0, 1.0)).astype(np.uint8)


def _filled(images: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Each texel that is not covered has the values of the nearest one that is, so that no filter sees the gaps."""
    from scipy.ndimage import distance_transform_edt

    if not covered.any():
        return images
    row, column = np.asarray(distance_transform_edt(~covered, return_distances=False, return_indices=True))
    return images[:, row, column]
