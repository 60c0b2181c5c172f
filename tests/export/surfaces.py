"""Surfaces with known geometry."""

import numpy as np
import torch

from nerf_plugins.export.implicit import ImplicitSurface

BOX = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))


def surface(value, level: float = 0.0, box=BOX, color=None) -> ImplicitSurface:
    return ImplicitSurface(value, level, torch.tensor(box), color or (lambda p, d: torch.full_like(p, 0.5)))


def sphere(radius: float = 0.7, centre=(0.0, 0.0, 0.0), **options) -> ImplicitSurface:
    return surface(lambda p: (p - torch.tensor(centre)).norm(dim=1) - radius, **options)


def torus(major: float = 0.6, minor: float = 0.2) -> ImplicitSurface:
    return surface(lambda p: torch.hypot(torch.hypot(p[:, 0], p[:, 1]) - major, p[:, 2]) - minor)


def two_spheres() -> ImplicitSurface:
    """Of radius 0.3 around x = -0.5, of 0.4 around x = 0.45."""
    a, b = sphere(0.3, (-0.5, 0.0, 0.0)).value, sphere(0.4, (0.45, 0.0, 0.0)).value
    return surface(lambda p: torch.minimum(a(p), b(p)))


def noise(points: int, seed: int = 0) -> ImplicitSurface:
    """Independent random values at the points of a grid: all cases of marching cubes, ambiguous ones too; nearest in between."""
    values = torch.randn(points, points, points, generator=torch.Generator().manual_seed(seed))

    def value(p):
        i, j, k = ((p + 1.0) * (0.5 * (points - 1))).round().long().clamp(0, points - 1).T
        return values[i, j, k]

    return surface(value)


def sorted_faces(faces: np.ndarray) -> np.ndarray:
    """In one order, whatever order they and (cyclically) their corners had."""
    start = faces.argmin(axis=1)
    turned = np.stack([faces[np.arange(len(faces)), (start + k) % 3] for k in range(3)], axis=1)
    return turned[np.lexsort(turned.T)]


def edge_counts(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The edges `(n, 2)`, and how many faces have each."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return np.unique(edges, axis=0, return_counts=True)
