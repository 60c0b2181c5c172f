"""`nerf-plugins eval-mesh`: the measures of a mesh, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from nerf_plugins.errors import InputError
from nerf_plugins.geometry import dtu
from nerf_plugins.geometry.compare import Comparison, PartFound, compare, found_parts
from nerf_plugins.geometry.sampling import Points, read_mesh, read_points, sample_mesh, sample_scene
from nerf_plugins.geometry.visibility import is_observed, sees_mesh
from nerf_plugins.mesh_evaluation.cameras import demo_cameras, training_cameras
from nerf_plugins.mesh_evaluation.options import EvalMeshOptions
from nerf_plugins.scenes import SCENES, Scene

DEPTH_BEHIND_SURFACE = 0.02
"""How far behind the true surface a point of the mesh still counts as observed, as a share of the diagonal."""
DEPTH_OF_TRUTH = {"scene": 1e-4, "mesh": 2e-3}
"""As much for a point of the truth itself: an exact scene, or a mesh seen in depth pictures."""
DEFAULT_THRESHOLDS = (0.0025, 0.005, 0.01)
"""Shares of the diagonal."""


class Measured(NamedTuple):
    """What is known of a mesh."""

    comparison: Comparison
    diagonal: float
    """Of the truth's bounding box."""
    objects: tuple[PartFound, ...] = ()
    """Of a scene, where they were asked for."""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        values = {"diagonal": self.diagonal, **asdict(self.comparison)}
        return values | {"objects": [asdict(found) for found in self.objects]} if self.objects else values


def run(options: EvalMeshOptions) -> int:
    """Prints the measures; returns the exit code 0."""
    check(options)
    measured = evaluate(options)
    if options.as_json:
        print(json.dumps({"mesh": str(options.mesh), **measured.to_json()}, indent=1))
    else:
        show(measured)
    return 0


def check(options: EvalMeshOptions) -> None:
    """Refuses options that nothing can be measured with.

    Raises:
        InputError: names the first.
    """
    if options.samples < 1:
        raise InputError(f"samples {options.samples}: give 1 point or more")
    if options.demo_views < 1:
        raise InputError(f"demo_views {options.demo_views}: give 1 view or more")
    if any(not threshold > 0.0 for threshold in options.thresholds):
        raise InputError(f"thresholds {options.thresholds}: all must be above 0")
    if options.by_object and (options.dtu_scan is not None or str(options.truth) not in SCENES):
        raise InputError(
            f"by_object: is for the scenes of demo-data, and truth is {options.truth}; give one of {', '.join(SCENES)}"
        )
    if options.seen_by is not None and (options.dtu_scan is not None or str(options.truth) in SCENES):
        raise InputError("seen_by: is for a truth that is a mesh's file; DTU and demo-data have their own way")


def evaluate(options: EvalMeshOptions) -> Measured:
    """The measures of a mesh.

    Raises:
        InputError: a file cannot be read, or nothing of it counts.
    """
    try:
        if options.dtu_scan is not None:
            return _against_dtu(options, options.dtu_scan)
        if str(options.truth) in SCENES:
            return _against_scene(options, SCENES[str(options.truth)]())
        return _against_file(options)
    except ValueError as e:
        raise InputError(f"{options.mesh}, {options.truth}: {e}" if not isinstance(e, InputError) else str(e)) from e


def _against_dtu(options: EvalMeshOptions, number: int) -> Measured:
    scan = dtu.read_scan(options.truth, number)
    comparison = dtu.evaluate(*read_mesh(options.mesh), scan, options.thresholds or (1.0, 2.0, 5.0))
    return Measured(comparison, diagonal_of(scan.points))


def _against_scene(options: EvalMeshOptions, scene: Scene) -> Measured:
    mesh, true = sample_mesh(*read_mesh(options.mesh), options.samples), sample_scene(scene, options.samples, seed=1)
    diagonal = diagonal_of(true)
    thresholds = options.thresholds or [share * diagonal for share in DEFAULT_THRESHOLDS]
    counted_mesh = counted_true = None
    if not options.all_surfaces:
        cameras = demo_cameras(options.demo_views)
        counted_mesh = is_observed(mesh.positions, scene, cameras, DEPTH_BEHIND_SURFACE * diagonal)
        counted_true = is_observed(true.positions, scene, cameras, DEPTH_OF_TRUTH["scene"] * diagonal)
    comparison = compare(mesh, true, thresholds, counted_mesh, counted_true)
    if not options.by_object:
        return Measured(comparison, diagonal)
    counted = true if counted_true is None else true.select(counted_true)
    return Measured(comparison, diagonal, _found_objects(mesh, counted, scene, thresholds))


def _found_objects(mesh: Points, true: Points, scene: Scene, thresholds: Sequence[float]) -> tuple[PartFound, ...]:
    names = list(dict.fromkeys(placed.name for placed in scene.objects))
    name_of = np.asarray([names.index(placed.name) for placed in scene.objects])
    return found_parts(mesh, true, names, name_of[scene.nearest(true.positions)], thresholds)


def _against_file(options: EvalMeshOptions) -> Measured:
    mesh = sample_mesh(*read_mesh(options.mesh), options.samples)
    # Another seed: the same mesh as truth is not to be met at the same points.
    true = read_points(options.truth, options.samples, seed=1)
    diagonal = diagonal_of(true)
    thresholds = options.thresholds or [share * diagonal for share in DEFAULT_THRESHOLDS]
    if options.seen_by is None:
        return Measured(compare(mesh, true, thresholds), diagonal)
    solid, cameras = read_mesh(options.truth), training_cameras(options.seen_by)
    counted_mesh = sees_mesh(mesh.positions, *solid, cameras, DEPTH_BEHIND_SURFACE * diagonal)
    counted_true = sees_mesh(true.positions, *solid, cameras, DEPTH_OF_TRUTH["mesh"] * diagonal)
    return Measured(compare(mesh, true, thresholds, counted_mesh, counted_true), diagonal)


def diagonal_of(points: Points) -> float:
    """Of the bounding box."""
    return float(np.linalg.norm(np.ptp(points.positions, axis=0)))


def show(measured: Measured) -> None:
    """Prints a table, lengths also as shares of the diagonal; and one of the objects."""
    comparison, diagonal, objects = measured
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
    if objects:
        Console().print(_table_of(objects, [score.threshold for score in comparison.f_scores], diagonal))


def _table_of(objects: Sequence[PartFound], thresholds: Sequence[float], diagonal: float) -> Table:
    table = Table("object", "share", "completeness", *(f"recall at {x / diagonal:.3%}" for x in thresholds))
    for found in objects:
        recalls = [f"{recall:.1%}" for recall in found.recalls]
        table.add_row(found.name, f"{found.share:.1%}", f"{found.completeness / diagonal:.3%}", *recalls)
    return table
