"""What of a mesh is kept: faces, connected parts; and its holes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Int

from nerf_plugins.errors import InputError

if TYPE_CHECKING:
    from trimesh import Trimesh


class Parts(NamedTuple):
    """The connected pieces of a mesh.

    Attributes:
        of_face: the piece of each face.
        areas: of each piece.
    """

    of_face: Int[np.ndarray, "f"]
    areas: Float[np.ndarray, "n_parts"]


def connected_parts(mesh: Trimesh) -> Parts:
    """The pieces, of which none shares a vertex with another."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    a, b = mesh.edges_unique.T
    n = len(mesh.vertices)
    _, label = connected_components(coo_matrix((np.ones(len(a), bool), (a, b)), shape=(n, n)), directed=False)
    _, of_face = np.unique(label[mesh.faces[:, 0]], return_inverse=True)
    return Parts(of_face, np.bincount(of_face, weights=mesh.area_faces))


def largest_component(mesh: Trimesh) -> Trimesh:
    """The connected piece with the largest area."""
    parts = connected_parts(mesh)
    return keep_faces(mesh, parts.of_face == parts.areas.argmax())


class Closed(NamedTuple):
    """A mesh, how many of its holes were closed, and how many it still has."""

    mesh: Trimesh
    n_closed: int
    n_left: int


def close_holes(mesh: Trimesh, max_edges: int) -> Closed:
    """Closes holes by a fan of triangles around the middle of their border.

    Args:
        mesh: faces' corners anti-clockwise seen from outside, as those of the fans will be.
        max_edges: holes with a longer border stay open.
    """
    from trimesh import Trimesh

    loops = _border_loops(np.asarray(mesh.faces))
    small = [loop for loop in loops if len(loop) <= max_edges]
    vertices, faces = [np.asarray(mesh.vertices)], [np.asarray(mesh.faces)]
    for k, loop in enumerate(small):
        vertices.append(mesh.vertices[loop].mean(axis=0, keepdims=True))
        middle = np.full(len(loop), len(mesh.vertices) + k)
        faces.append(np.stack([np.roll(loop, -1), loop, middle], axis=1))
    closed = Trimesh(np.concatenate(vertices), np.concatenate(faces), process=False)
    return Closed(closed, len(small), len(loops) - len(small))


def _border_loops(faces: Int[np.ndarray, "f 3"]) -> list[Int[np.ndarray, "n"]]:
    """The vertices along each border, in the direction of the faces that it belongs to."""
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    n = int(faces.max()) + 1
    open_edge = ~np.isin(starts * n + ends, ends * n + starts)
    leaving: dict[int, list[int]] = {}
    for a, b in zip(starts[open_edge].tolist(), ends[open_edge].tolist()):
        leaving.setdefault(a, []).append(b)
    loops = []
    for first in leaving:
        while leaving[first]:
            loop = [first]
            # As many edges come to a vertex as leave it, so the walk ends where it began.
            while (following := leaving[loop[-1]].pop()) != first:
                loop.append(following)
            loops.append(np.array(loop))
    return loops


def with_neighbours(faces: Int[np.ndarray, "f 3"], chosen: Bool[np.ndarray, "f"], rings: int) -> Bool[np.ndarray, "f"]:
    """The chosen faces and ``rings`` rings of faces around them: each has those that share a vertex with the one before."""
    for _ in range(rings):
        reached = np.zeros(int(faces.max(initial=-1)) + 1, dtype=bool)
        reached[faces[chosen]] = True
        chosen = reached[faces].any(axis=1)
    return chosen


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
