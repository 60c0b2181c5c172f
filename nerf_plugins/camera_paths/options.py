"""The options of `nerf-plugins camera-path`; imports nothing heavy, so that the command line is quick.

Lengths and positions are in the space of the run's model, in which nerfstudio renders: the dataparser has usually moved and scaled the
input's world.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class PathOptions:
    """What all shapes share."""

    shape: ClassVar[str]

    load_config: Path
    """The config.yml of the run. Its checkpoint is only needed for a point of interest on the surface."""
    output_path: Path | None = None
    """JSON file to write, never over another one. None: camera_paths/SHAPE.json beside the config.yml.
    The viewer's "Load Path" looks into the folder camera_paths of the data."""
    fps: float = 24.0
    """Views a second of the video."""
    height: int | None = None
    """Height of the pictures, rounded to an even number, as videos need. None: that of the training images."""
    width: int | None = None
    """Width of the pictures. None: from the height, in the shape of the training images."""
    fov: float | None = None
    """Vertical field of view in degrees. None: that of the training cameras."""
    nearest: int = 3
    """For each view this many of the nearest training cameras are written into the file."""


@dataclass(frozen=True, kw_only=True)
class AroundPointOptions(PathOptions):
    """What the shapes around a point share; all their views look at the point."""

    frames: int = 120
    """Views of the path."""
    point: Literal["axes", "surface"] | Vector = "axes"
    """Point of interest. axes: where the training cameras' axes meet.
    surface: where the trained model's surface, as the training cameras see it, is densest; renders some of their pixels.
    Or three numbers, in the model's space."""
    up: Vector | None = None
    """Direction that is up. None: the coordinate axis nearest to the training cameras' mean up."""


@dataclass(frozen=True, kw_only=True)
class OrbitOptions(AroundPointOptions):
    """A level circle around the point."""

    shape: ClassVar[str] = "orbit"

    distance: float | None = None
    """From the point. None: the training cameras' median."""
    elevation: float | None = None
    """Degrees over the level of the point. None: the training cameras' median, but between 15 and 40."""
    start: float = 0.0
    """Degrees around the up axis to begin at. 0: on the side of the training cameras, or of the first if they are all around."""
    arc: float = 360.0
    """Degrees to go, anti-clockwise seen from above; negative for clockwise. If less than 360, the last view ends the arc."""


@dataclass(frozen=True, kw_only=True)
class SpiralOptions(AroundPointOptions):
    """Turns around an axis through the point, wider and wider (or narrower, or further away).

    In front of a forward-facing scene this is the well-known flat spiral; over an object it winds down from the top.
    """

    shape: ClassVar[str] = "spiral"

    turns: float = 3.0
    """Number of turns; negative for clockwise, seen from the tip of the axis."""
    angles: tuple[float, float] | None = None
    """First and last angle between axis and view, in degrees. None: from 0 to what 9 of 10 training cameras keep within."""
    distances: tuple[float, float] | None = None
    """First and last distance from the point. None: the training cameras' median for both."""
    axis: Vector | None = None
    """From the point. None: towards the training cameras' middle, or up if they are all around."""


@dataclass(frozen=True, kw_only=True)
class ConeOptions(AroundPointOptions):
    """Circles around an axis through the point, one after the other, each of constant angle and distance.

    The frames are shared out evenly among the circles.
    """

    shape: ClassVar[str] = "cone"

    angles: tuple[float, ...] | None = None
    """For each circle the angle between axis and view, in degrees.
    None, and no radii either: evenly up to what 9 of 10 training cameras keep within, three or as many as there are distances."""
    radii: tuple[float, ...] | None = None
    """Instead of angles: for each circle its radius, at most the distance."""
    distances: tuple[float, ...] | None = None
    """From the point to the views, for each circle or one for all. None: the training cameras' median."""
    axis: Vector | None = None
    """From the point. None: towards the training cameras' middle, or up if they are all around."""


@dataclass(frozen=True, kw_only=True)
class DollyOptions(AroundPointOptions):
    """Straight towards the point, or away from it."""

    shape: ClassVar[str] = "dolly"

    start_image: int | str = 0
    """Training image whose camera gives the direction: the end of its path ("train/r_3.png"), or its number in the order of the paths."""
    direction: Vector | None = None
    """Instead of an image: direction from the point to the views."""
    distances: tuple[float, float] | None = None
    """First and last distance from the point.
    None: from that of the image's camera (with a direction: the median of all) to half of it."""


@dataclass(frozen=True, kw_only=True)
class InterpolateOptions(PathOptions):
    """Smoothly through the poses of the dataset's images, with their fields of view."""

    shape: ClassVar[str] = "interpolate"

    split: Literal["train", "val", "test"] = "train"
    """Images to go through."""
    images: tuple[int | str, ...] | None = None
    """Only these of the split, in this order: ends of their paths ("r_3", "train/r_3.png"), or numbers in the order of the paths.
    None: all, in the dataset's order."""
    order: Literal["given", "nearest"] = "given"
    """nearest: from the first always to the nearest one that is left."""
    steps: int = 10
    """Views from one image to the next."""
    closed: bool = False
    """Return to the first image."""


CameraPathOptions = (
    Annotated[OrbitOptions, tyro.conf.subcommand("orbit")]
    | Annotated[SpiralOptions, tyro.conf.subcommand("spiral")]
    | Annotated[ConeOptions, tyro.conf.subcommand("cone")]
    | Annotated[DollyOptions, tyro.conf.subcommand("dolly")]
    | Annotated[InterpolateOptions, tyro.conf.subcommand("interpolate")]
)
