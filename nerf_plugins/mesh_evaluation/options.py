"""The options of `nerf-plugins eval-mesh`; imports nothing heavy, so that the command line is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class EvalMeshOptions:
    """Measure a mesh against what it should be: Chamfer distance, F-scores, normal error.

    Mesh and truth must be in the same units, as `nerf-plugins mesh` writes them without --up.
    """

    mesh: Positional[Path]
    """The mesh's file."""
    truth: Path = Path("demo")
    """demo, sphere, torus or wires: that scene of demo-data. Or the file of a mesh or a point cloud (PLY, OBJ, STL, GLB).
    Or, with --dtu-scan, the folder with the DTU dataset's ObsMask/ and Points/."""
    dtu_scan: int | None = None
    """Number of the DTU scan: use the dataset's protocol."""
    thresholds: tuple[float, ...] = ()
    """Of the F-scores, in the mesh's units. Without: 0.25, 0.5 and 1 % of the truth's diagonal; 1, 2 and 5 mm for a DTU scan."""
    samples: int = 500_000
    """Random points on each surface; a DTU scan has its own number."""
    seen_by: Path | None = None
    """The config.yml of a run, or its folder; its data must be there: only what its training cameras see of the truth, a mesh, counts.
    demo-data's scenes need none."""
    demo_views: int = 100
    """Training views of demo-data. Only what they see counts: the table's underside, for one, does not."""
    all_surfaces: bool = False
    """Count what no training view of demo-data sees too."""
    by_object: bool = False
    """Say of each object of demo-data's scene how much of it the mesh has; objects of one name count as one."""
    as_json: Annotated[bool, arg(name="json")] = False
    """Print JSON, for programs."""
