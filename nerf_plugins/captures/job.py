"""What the reconstructing process is told, and what it hands back: files, since it is a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

Matching = Literal["exhaustive", "sequential", "nearest"]
Mapper = Literal["auto", "global", "incremental"]
OnProgress = Callable[[str, int, int], None]
"""Called with a stage, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class CameraGroup:
    """Images that share a camera.

    `focal` is a focal length in pixels, known if `is_prior` (from EXIF) and else guessed.
    """

    names: tuple[str, ...]
    width: int
    height: int
    focal: float
    is_prior: bool


@dataclass(frozen=True)
class Job:
    """Paths, the images by camera, and what to do with them.

    `masks` holds `IMAGE.png` for each image that has one, black where no features are wanted. `folder` is the process's own: its
    database, log and results.
    """

    folder: Path
    images: Path
    masks: Path | None
    groups: tuple[CameraGroup, ...]
    matching: Matching
    mapper: Mapper
    neighbours: int
    feature_size: int
    features: int

    @property
    def names(self) -> list[str]:
        """Of all images, in order."""
        return sorted(name for group in self.groups for name in group.names)

    @property
    def result(self) -> Path:
        """The folder that :func:`read_reconstruction` reads; there once the reconstruction is whole."""
        return self.folder / "sparse"

    @property
    def has_result(self) -> bool:
        """Whether the result is there, with all that one has now: those of before the sightings of the points lack these."""
        return (self.result / "views.npy").exists()

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Job:
        """What :meth:`write` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        values["groups"] = tuple(CameraGroup(**{**g, "names": tuple(g["names"])}) for g in values["groups"])
        for name in ("folder", "images", "masks"):
            values[name] = None if values[name] is None else Path(values[name])
        return Job(**values)


@dataclass(frozen=True)
class Intrinsics:
    """COLMAP's OPENCV camera: x = fx x' + cx with x', y' distorted by k1, k2 (radial) and p1, p2 (tangential); pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k1: float
    k2: float
    p1: float
    p2: float


@dataclass(frozen=True)
class Posed:
    """A registered image.

    Attributes:
        pose: camera-to-world (3, 4), x right, y down, z forward.
        camera: its number.
        points: number of points seen in it.
        error: their mean reprojection error in pixels.
        agreeing: share of its verified matches that agree with the poses.
    """

    pose: list[list[float]]
    camera: int
    points: int
    error: float
    agreeing: float


@dataclass(frozen=True)
class Matched:
    """What is known of an image whether it is registered or not: its features, the images that it shares geometry with, and in which
    of the components it was registered, the largest first."""

    features: int
    partners: int
    components: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reconstruction:
    """The largest component.

    Attributes:
        cameras: by number.
        posed: the registered images by name.
        matched: all images by name.
        components: registered images of each component, the largest first.
        error: mean reprojection error in pixels.
        agreeing: share of all verified matches that agree with the poses; those of photos without one do not.
        points: position, colour (0 to 255), error in pixels and number of images of each sparse point.
        views: of each sighting of a point the image, by its place in `posed`, the point's row, and where in the image it is: x, y as
            shares of the width and height.
    """

    cameras: dict[int, Intrinsics]
    posed: dict[str, Posed]
    matched: dict[str, Matched]
    components: list[int]
    error: float
    agreeing: float
    points: Float[np.ndarray, "n 8"]
    views: Float[np.ndarray, "m 4"]

    @property
    def poses(self) -> Float[np.ndarray, "n 3 4"]:
        """Of the registered images, in the order of `posed`."""
        return np.array([image.pose for image in self.posed.values()], dtype=np.float64).reshape(-1, 3, 4)


def write_reconstruction(reconstruction: Reconstruction, folder: Path) -> None:
    """As `reconstruction.json`, `points.npy` and `views.npy` (uncompressed: see `reconstruction.py` on zlib)."""
    values = {name: value for name, value in vars(reconstruction).items() if name not in ("points", "views")}
    np.save(folder / "points.npy", reconstruction.points)
    np.save(folder / "views.npy", reconstruction.views)
    text = json.dumps(values, default=lambda item: vars(item))
    (folder / "reconstruction.json").write_text(text, encoding="utf-8")


def read_reconstruction(folder: Path) -> Reconstruction:
    """What :func:`write_reconstruction` wrote."""
    values = json.loads((folder / "reconstruction.json").read_text(encoding="utf-8"))
    return Reconstruction(
        cameras={int(key): Intrinsics(**camera) for key, camera in values["cameras"].items()},
        posed={name: Posed(**image) for name, image in values["posed"].items()},
        matched={name: Matched(**{**m, "components": tuple(m["components"])}) for name, m in values["matched"].items()},
        components=values["components"],
        error=values["error"],
        agreeing=values["agreeing"],
        points=np.load(folder / "points.npy"),
        views=np.load(folder / "views.npy"),
    )
