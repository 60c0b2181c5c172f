"""Dense points on the surfaces of the shapes, and what is inside, written down without their distance functions."""

import numpy as np

from nerf_plugins.scenes import Box, Capsule, Cone, Cylinder, Shape, Sphere, Torus

SPACING = 0.012
"""No surface point is farther than this from a sample."""

SHAPES: list[Shape] = [
    Sphere(0.5),
    Box((0.3, 0.5, 0.2)),
    Cylinder(0.4, 0.25),
    Capsule(0.3, 0.2),
    Cone(0.4, 0.6),
    Torus(0.5, 0.15),
]


def surface(shape: Shape) -> np.ndarray:
    """Points `(N, 3)`."""
    match shape:
        case Sphere(radius):
            return globe(radius)
        case Box(half):
            faces = []
            for k in range(3):
                i, j = (k + 1) % 3, (k + 2) % 3
                u, v = (x.ravel() for x in np.meshgrid(line(-half[i], half[i]), line(-half[j], half[j])))
                for sign in (-1.0, 1.0):
                    face = np.zeros((len(u), 3))
                    face[:, i], face[:, j], face[:, k] = u, v, sign * half[k]
                    faces.append(face)
            return np.concatenate(faces)
        case Cylinder(radius, half_height):
            z = line(-half_height, half_height)
            discs = [disc(radius, sign * half_height) for sign in (-1.0, 1.0)]
            return np.concatenate([revolve(np.full_like(z, radius), z), *discs])
        case Capsule(half_length, radius):
            z, caps = line(-half_length, half_length), globe(radius)
            caps[:, 2] += np.where(caps[:, 2] < 0.0, -half_length, half_length)
            return np.concatenate([revolve(np.full_like(z, radius), z), caps])
        case Cone(radius, height):
            s = line(0.0, 1.0, np.hypot(radius, height))
            return np.concatenate([revolve(radius * (1.0 - s), height * s), disc(radius, 0.0)])
        case Torus(major, minor):
            a = line(0.0, 2.0 * np.pi, 2.0 * np.pi * minor)
            return revolve(major + minor * np.cos(a), minor * np.sin(a))
    raise AssertionError(shape)


def inside(shape: Shape, p: np.ndarray) -> np.ndarray:
    """Whether points `(N, 3)` are inside, by the definition of each solid."""
    rho, z = np.sqrt(p[:, 0] ** 2 + p[:, 1] ** 2), p[:, 2]
    match shape:
        case Sphere(radius):
            return (p**2).sum(axis=1) < radius**2
        case Box(half):
            return (np.abs(p) < half).all(axis=1)
        case Cylinder(radius, half_height):
            return (rho < radius) & (np.abs(z) < half_height)
        case Capsule(half_length, radius):
            ends = [((p - [0, 0, s * half_length]) ** 2).sum(axis=1) < radius**2 for s in (-1, 1)]
            return (rho < radius) & (np.abs(z) < half_length) | ends[0] | ends[1]
        case Cone(radius, height):
            return (z > 0.0) & (rho < radius * (1.0 - z / height))
        case Torus(major, minor):
            return (rho - major) ** 2 + z**2 < minor**2
    raise AssertionError(shape)


def line(low, high, length=None):
    return np.linspace(low, high, int((high - low if length is None else length) / SPACING) + 2)


def globe(radius):
    a = line(0.0, np.pi, np.pi * radius)
    return revolve(radius * np.sin(a), radius * np.cos(a))


def disc(radius, z):
    rho = line(0.0, radius)
    return revolve(rho, np.full_like(rho, z))


def revolve(rho, z):
    rings = []
    for r, height in zip(rho, z, strict=True):
        a = line(0.0, 2.0 * np.pi, 2.0 * np.pi * r)
        rings.append(np.stack([r * np.cos(a), r * np.sin(a), np.full_like(a, height)], axis=1))
    return np.concatenate(rings)
