"""The DTU evaluation: what of a mesh and of the scanned points counts.

Files, in the layout of the dataset's ``SampleSet/MVS Data``, all in millimetres:

* ``ObsMask/ObsMask{scan}_10.mat``: which voxels were observed: ``ObsMask``, the box ``BB`` and the voxels' size ``Res``;
* ``ObsMask/Plane{scan}.mat``: the table, ``P``;
* ``Points/stl/stl{scan:03d}_total.ply``: the scanned points.

The mesh counts where its voxel was observed; the scanned points count above the table. Only the part of the mesh within
``BOX_MARGIN`` of the box is there to be found. Distances of 20 mm and more are left out of the means.

Two things differ from the dataset's own scripts, which take points 0.2 mm apart on each triangle and thin them out until none is
nearer than 0.2 mm to another: here the points are random and even by area, one per 0.2 mm x 0.2 mm; and the scanned points'
normals are not known, so there is no normal error.

Source: Jensen et al., Large Scale Multi-view Stereopsis Evaluation, 2014, and its evaluation code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from nerf_plugins.errors import InputError
from nerf_plugins.geometry.compare import Comparison, compare
from nerf_plugins.geometry.sampling import Points, read_points, sample_mesh

SPACING = 0.2
"""Between points of the mesh, in mm."""
MAX_DISTANCE = 20.0
"""Distances from here on are left out of the means, in mm."""
BOX_MARGIN = (60.0, 120.0)
"""How far the mesh is looked at before the box's lower and beyond its upper corner, in mm."""


@dataclass(frozen=True)
class DTUScan:
    """What the dataset says of a scan.

    Attributes:
        points: scanned points.
        observed: voxels that were observed.
        box: their corners in mm.
        voxel: their size in mm.
        plane: a point is above the table if ``plane · (x, y, z, 1) > 0``.
    """

    points: Points
    observed: Bool[np.ndarray, "nx ny nz"]
    box: Float[np.ndarray, "2 3"]
    voxel: float
    plane: Float[np.ndarray, "4"]

    def in_reach(self, points: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, "n"]:
        """Which points are in the box and its margins."""
        low, high = self.box[0] - BOX_MARGIN[0], self.box[1] + BOX_MARGIN[1]
        return ((points >= low) & (points < high)).all(axis=1)

    def is_observed(self, points: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, "n"]:
        """Which points have an observed voxel."""
        index = np.around((points - self.box[0]) / self.voxel).astype(np.int64)
        inside = ((index >= 0) & (index < self.observed.shape)).all(axis=1)
        observed = np.zeros(len(points), dtype=bool)
        observed[inside] = self.observed[tuple(index[inside].T)]
        return observed

    def is_above_table(self, points: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, "n"]:
        """Which points are above the table."""
        return points @ self.plane[:3] + self.plane[3] > 0.0


def read_scan(folder: Path, scan: int) -> DTUScan:
    """Reads a scan's files.

    Raises:
        InputError: one is missing or cannot be read.
    """
    mask = _read_mat(folder / "ObsMask" / f"ObsMask{scan}_10.mat", ("ObsMask", "BB", "Res"))
    plane = _read_mat(folder / "ObsMask" / f"Plane{scan}.mat", ("P",))["P"]
    return DTUScan(
        points=read_points(folder / "Points" / "stl" / f"stl{scan:03d}_total.ply", count=0),
        observed=mask["ObsMask"].astype(bool),
        box=mask["BB"].astype(np.float64).reshape(2, 3),
        voxel=float(mask["Res"].reshape(-1)[0]),
        plane=plane.astype(np.float64).reshape(4),
    )


def evaluate(
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    scan: DTUScan,
    thresholds: tuple[float, ...] = (),
    seed: int = 0,
) -> Comparison:
    """The DTU measures of a mesh with its vertices in mm.

    Raises:
        ValueError: nothing of the mesh or of the scan counts.
    """
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = 0.5 * float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())
    mesh = sample_mesh(vertices, faces, max(1, round(area / SPACING**2)), seed)
    mesh = mesh.select(scan.in_reach(mesh.positions))
    counted_mesh, counted_truth = scan.is_observed(mesh.positions), scan.is_above_table(scan.points.positions)
    return compare(mesh, scan.points, thresholds, counted_mesh, counted_truth, MAX_DISTANCE)


def _read_mat(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    if not path.is_file():
        raise InputError(f"{path}: there is no such file; give the folder with the dataset's ObsMask/ and Points/")
    try:
        content = loadmat(path)
        return {name: np.asarray(content[name]) for name in names}
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError) as e:
        raise InputError(f"{path}: cannot be read, or lacks one of {', '.join(names)} ({e})") from e
