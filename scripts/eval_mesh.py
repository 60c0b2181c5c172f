"""Measures a mesh against what it should be: Chamfer distance, F-scores, normal error.

The truth is one of: an embedded scene (its exact surface), a mesh or a point cloud (PLY, OBJ, GLB), or a scan of the DTU dataset
with its protocol. Mesh and truth must be in the same units, as `nerf-plugins mesh` writes them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from nerf_plugins.errors import InputError
from nerf_plugins.geometry import dtu
from nerf_plugins.geometry.compare import Comparison, compare
from nerf_plugins.geometry.sampling import Points, read_mesh, read_points, sample_mesh, sample_scene
from nerf_plugins.geometry.visibility import is_observed
from nerf_plugins.scenes import SCENES, Camera

DEPTH_BEHIND_SURFACE = 0.02
"""How far behind the true surface a point of the mesh still counts as observed, as a share of the diagonal."""
DEFAULT_THRESHOLDS = (0.0025, 0.005, 0.01)
"""Shares of the diagonal."""


@dataclass(frozen=True)
class Options:
    """What to measure."""

    mesh: tyro.conf.Positional[Path]
    """The mesh's file."""
    truth: Path = Path("demo")
    """demo, sphere or torus: that scene of demo-data. Or the file of a mesh or a point cloud. Or, with --dtu-scan, the folder with the
    DTU dataset's ObsMask/ and Points/."""
    dtu_scan: int | None = None
    """Number of the DTU scan: use the dataset's protocol."""
    thresholds: tuple[float, ...] = ()
    """Of the F-scores, in the mesh's units. Without: 0.25, 0.5 and 1 % of the truth's diagonal; 1, 2 and 5 mm for a DTU scan."""
    samples: int = 500_000
    """Random points on each surface; a DTU scan has its own number."""
    demo_views: int = 100
    """Training views of demo-data. Only what they see counts: the table's underside, for one, does not."""
    all_surfaces: bool = False
    """Count what no training view of demo-data sees too."""
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON, for programs."""


def main(options: Options) -> None:
    """Print the measures."""
    check(options)
    comparison, diagonal = evaluate(options)
    if options.as_json:
        print(json.dumps({"mesh": str(options.mesh), "diagonal": diagonal, **asdict(comparison)}, indent=1))
    else:
        show(comparison, diagonal)


def check(options: Options) -> None:
    """Refuse options that nothing can be measured with."""
    if options.samples < 1:
        raise InputError(f"samples {options.samples}: give 1 point or more")
    if options.demo_views < 1:
        raise InputError(f"demo_views {options.demo_views}: give 1 view or more")
    if any(not threshold > 0.0 for threshold in options.thresholds):
        raise InputError(f"thresholds {options.thresholds}: all must be above 0")


def evaluate(options: Options) -> tuple[Comparison, float]:
    """The measures, and the diagonal of the truth's bounding box."""
    vertices, faces = read_mesh(options.mesh)
    if options.dtu_scan is not None:
        scan = dtu.read_scan(options.truth, options.dtu_scan)
        return dtu.evaluate(vertices, faces, scan, options.thresholds or (1.0, 2.0, 5.0)), diagonal_of(scan.points)
    scene = SCENES[str(options.truth)]() if str(options.truth) in SCENES else None
    mesh = sample_mesh(vertices, faces, options.samples)
    # Another seed: the same mesh as truth is not to be met at the same points.
    true = sample_scene(scene, options.samples, 1) if scene else read_points(options.truth, options.samples, 1)
    diagonal = diagonal_of(true)
    thresholds = options.thresholds or [share * diagonal for share in DEFAULT_THRESHOLDS]
    if options.all_surfaces or scene is None:
        return compare(mesh, true, thresholds), diagonal
    cameras, depth = demo_cameras(options.demo_views), DEPTH_BEHIND_SURFACE * diagonal
    counted_mesh = is_observed(mesh.positions, scene, cameras, depth)
    counted_true = is_observed(true.positions, scene, cameras, 1e-4 * diagonal)
    return compare(mesh, true, thresholds, counted_mesh, counted_true), diagonal


def demo_cameras(views: int) -> list[Camera]:
    """The training cameras of demo-data; the pictures' resolution does not matter for what they see."""
    from nerf_plugins.dataparsers.demo import FIELD_OF_VIEW, DemoDataParserConfig, split_cameras

    size = 1024
    focal = 0.5 * size / np.tan(0.5 * FIELD_OF_VIEW)
    poses = split_cameras(DemoDataParserConfig(num_train=views))["train"]
    return [Camera.centred(pose, focal, size, size) for pose in poses]


def diagonal_of(points: Points) -> float:
    """Of the bounding box."""
    return float(np.linalg.norm(np.ptp(points.positions, axis=0)))


def show(comparison: Comparison, diagonal: float) -> None:
    """Prints a table, lengths also as shares of the diagonal."""
    table = Table("measure", "value", "of diagonal")
    for name in ("accuracy", "completeness", "chamfer", "sampling_floor"):
        value = getattr(comparison, name)
        if value is not None:
            table.add_row(name.replace("_", " "), f"{value:.5g}", f"{value / diagonal:.3%}")
    if comparison.normal_error is not None:
        table.add_row("normal error", f"{comparison.normal_error:.2f}°", "")
    for score in comparison.f_scores:
        value = f"{score.f_score:.2%} (precision {score.precision:.2%}, recall {score.recall:.2%})"
        table.add_row(f"F-score at {score.threshold:.4g}", value, f"{score.threshold / diagonal:.3%}")
    Console().print(table)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,)))
    except (InputError, ValueError) as error:
        sys.exit(f"error: {error}")
