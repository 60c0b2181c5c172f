"""How far two surfaces are apart, measured between points of them.

With ``d(p, S)`` the distance from a point to the nearest one of ``S``, ``M`` the points of the mesh and ``T`` those of the truth:

* accuracy = mean of d(m, T) over M; completeness = mean of d(t, M) over T; Chamfer distance = the mean of both;
* at a threshold τ: precision = share of M with d(m, T) < τ, recall = share of T with d(t, M) < τ,
  F-score = 2 precision recall / (precision + recall);
* normal error = mean angle between the normal at a point and that at the nearest point of the other surface, over both.

As points and not surfaces are compared, even the truth against itself has a Chamfer distance: with n points on an area A about half
of sqrt(A / n), the ``sampling_floor``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from nerf_plugins.geometry.sampling import Points


@dataclass(frozen=True)
class FScore:
    """Shares in [0, 1] at a threshold in the points' units."""

    threshold: float
    precision: float
    recall: float
    f_score: float


@dataclass(frozen=True)
class Comparison:
    """The measures of the module's docstring; lengths in the points' units."""

    accuracy: float
    completeness: float
    chamfer: float
    f_scores: tuple[FScore, ...]
    normal_error: float | None
    """In degrees; None where a surface has no normals."""
    sampling_floor: float | None
    """None where neither area is known."""


def compare(
    mesh: Points,
    truth: Points,
    thresholds: Sequence[float] = (),
    counted_mesh: Bool[np.ndarray, "n_mesh"] | None = None,
    counted_truth: Bool[np.ndarray, "n_truth"] | None = None,
    max_distance: float | None = None,
) -> Comparison:
    """Compares points of a mesh with points of the truth.

    Args:
        mesh: points of the mesh.
        truth: points of the truth.
        thresholds: of the F-scores.
        counted_mesh: which points of the mesh enter the means; all are there to be found.
        counted_truth: which points of the truth do.
        max_distance: larger distances are left out of accuracy and completeness, as in the DTU protocol; the F-scores see them.

    Raises:
        ValueError: there is nothing to compare, or a threshold is not above 0.
    """
    for name, points, counted in (("mesh", mesh, counted_mesh), ("truth", truth, counted_truth)):
        if len(points.positions) == 0 or (counted is not None and not counted.any()):
            raise ValueError(f"no points of the {name} to compare")
    if any(not threshold > 0.0 for threshold in thresholds):
        raise ValueError(f"thresholds must be above 0, got {tuple(thresholds)}")
    to_truth, angle_to_truth = _distances(mesh, truth, counted_mesh)
    to_mesh, angle_to_mesh = _distances(truth, mesh, counted_truth)
    accuracy, completeness = _mean(to_truth, max_distance), _mean(to_mesh, max_distance)
    angles = None if angle_to_truth is None or angle_to_mesh is None else (angle_to_truth.mean(), angle_to_mesh.mean())
    floors = [0.5 * (x.area / len(x.positions)) ** 0.5 for x in (mesh, truth) if x.area is not None]
    return Comparison(
        accuracy,
        completeness,
        0.5 * (accuracy + completeness),
        tuple(_f_score(to_truth, to_mesh, threshold) for threshold in thresholds),
        None if angles is None else float(np.mean(angles)),
        float(np.mean(floors)) if floors else None,
    )


@dataclass(frozen=True)
class PartFound:
    """How much of a part of the truth the mesh has."""

    name: str
    share: float
    """Of the truth's counted points, in [0, 1]."""
    completeness: float
    """Mean distance to the mesh."""
    recalls: tuple[float, ...]
    """Share of the part's points that are nearer to the mesh than each threshold."""


def found_parts(
    mesh: Points, truth: Points, names: Sequence[str], part: Int[np.ndarray, "n_truth"], thresholds: Sequence[float]
) -> tuple[PartFound, ...]:
    """Completeness and recall of each part of the truth that has points.

    Args:
        mesh: points of the mesh.
        truth: the points of the truth that count.
        names: of the parts.
        part: which of them each point of the truth belongs to.
        thresholds: of the recalls.
    """
    distance, _ = _distances(truth, mesh, None)
    of_parts = [(name, distance[part == k]) for k, name in enumerate(names)]
    return tuple(
        PartFound(name, len(d) / len(distance), float(d.mean()), tuple(float((d < x).mean()) for x in thresholds))
        for name, d in of_parts
        if len(d)
    )


def _distances(
    a: Points, b: Points, counted: Bool[np.ndarray, "n_a"] | None
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"] | None]:
    """From each counted point of ``a`` the distance to the nearest of ``b``, and the angle between their normals in degrees."""
    from scipy.spatial import KDTree

    if counted is not None:
        a = a.select(counted)
    distance, nearest = KDTree(b.positions).query(a.positions, workers=-1)
    if a.normals is None or b.normals is None:
        return distance, None
    cosine = np.einsum("ij,ij->i", a.normals, b.normals[nearest])
    return distance, np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _mean(distance: Float[np.ndarray, "n"], max_distance: float | None) -> float:
    if max_distance is not None:
        distance = distance[distance < max_distance]
    return float(distance.mean()) if len(distance) else float("inf")


def _f_score(to_truth: Float[np.ndarray, "n"], to_mesh: Float[np.ndarray, "m"], threshold: float) -> FScore:
    precision, recall = float((to_truth < threshold).mean()), float((to_mesh < threshold).mean())
    both = precision + recall
    return FScore(threshold, precision, recall, 2.0 * precision * recall / both if both else 0.0)
