"""What all shapes share: options, and what a shape says of its views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from nerf_plugins.camera_paths import checks
from nerf_plugins.data.names import find_images
from nerf_plugins.errors import InputError

Vector = tuple[float, float, float]


class Layout(NamedTuple):
    """The training cameras seen from the point of interest; ``describe_layout`` makes it.

    Attributes:
        point: the point of interest.
        up: unit vector.
        axis: unit vector towards the cameras' middle; ``up`` where they are all around.
        front: unit vector, level: the side on which the cameras are, or the first of them if they are all around.
        distance: median, from the point.
        elevation: median, in degrees over the point's level.
        spread: angle to the axis, in degrees, that 9 of 10 cameras keep within.
        offsets: of all cameras from the point.
        paths: of their images.
    """

    point: Vector
    up: Vector
    axis: Vector
    front: Vector
    distance: float
    elevation: float
    spread: float
    offsets: Sequence[Vector]
    paths: Sequence[Path]

    def some_spread(self) -> float:
        """The spread.

        Raises:
            InputError: there is none.
        """
        if self.spread < 1e-3:
            raise InputError("the training cameras all stand in one direction from the point: give --angles")
        return self.spread

    def find(self, image: int | str, what: str) -> int:
        """The index of an image's camera.

        Raises:
            InputError: there is no such image.
        """
        return find_images([image], self.paths, what)[0]


class View(NamedTuple):
    """Where a view is around an axis through the point; it looks at the point.

    Attributes:
        angle: to the axis, in degrees.
        azimuth: around the axis, in degrees, anti-clockwise seen from its tip. 0 is on the side of up or, for the up axis, of the front.
        distance: from the point.
    """

    angle: float
    azimuth: float
    distance: float


class Around(NamedTuple):
    """The views of a path around a point.

    Attributes:
        axis: of any length.
        views: in their order.
        is_closed: the first view follows the last.
    """

    axis: Vector
    views: list[View]
    is_closed: bool = False


@dataclass(frozen=True, kw_only=True)
class PathOptions:
    """What all shapes share."""

    shape: ClassVar[str]
    """The name on the command line."""

    load_config: Path
    """The config.yml of the run, or its folder. Its checkpoint is only needed for a point of interest on the surface."""
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
    style: tuple[str, ...] = ()
    """Of a run with codes of photos: training photos, as ends of their paths ("r_3"), or mean.
    Their looks are gone through evenly along the path, from the first to the last. Empty: the mean of all."""
    time: tuple[float, float] | None = None
    """Of a moving scene: the times of the first and of the last view, in [0, 1]; from view to view the time goes evenly.
    Twice the same holds it. None: it is held at 0, where the dataset has times."""
    nearest: int = 3
    """For each view this many of the nearest training cameras are written into the file."""

    def check(self) -> None:
        """Refuses options that no path can be made from, before anything is read.

        Raises:
            InputError: naming the first of them.
        """
        checks.at_least("nearest", self.nearest, 1, "training camera")
        checks.positive("fps", self.fps)
        for name, size in (("height", self.height), ("width", self.width)):
            if size is not None:
                checks.at_least(name, size, 2, "pixels")
        if self.fov is not None and not 0.0 < self.fov < 180.0:
            raise InputError(f"fov {self.fov:g}: give degrees between 0 and 180")
        for time in self.time or ():
            checks.time("time", time)


@dataclass(frozen=True, kw_only=True)
class AroundPointOptions(PathOptions, ABC):
    """What the shapes around a point share; all their views look at the point."""

    frames: int = 120
    """Views of the path."""
    point: Literal["axes", "surface"] | Vector = "axes"
    """Point of interest. axes: where the training cameras' axes meet.
    surface: where the trained model's surface, as the training cameras see it, is densest; renders some of their pixels.
    Or three numbers, in the model's space."""
    up: Vector | None = None
    """Direction that is up. None: the coordinate axis nearest to the training cameras' mean up."""

    def check(self) -> None:
        """See ``PathOptions``."""
        super().check()
        checks.at_least("frames", self.frames, 1, "view")
        if not isinstance(self.point, str):
            checks.finite("point", self.point)
        checks.direction("up", self.up)

    @abstractmethod
    def around(self, layout: Layout) -> Around:
        """Where the views are.

        Raises:
            InputError: the training cameras do not allow it.
        """


@dataclass(frozen=True, kw_only=True)
class ThroughImagesOptions(PathOptions, ABC):
    """What the shapes through the poses of a dataset's images share."""

    split: Literal["train", "val", "test"] = "train"
    """Images to go through."""
    images: tuple[int | str, ...] | None = None
    """Only these of the split, in this order: ends of their paths ("r_3", "train/r_3.png"), or numbers in the order of the paths.
    None: all, in the dataset's order."""
    order: Literal["given", "nearest"] = "given"
    """nearest: from the first always to the nearest one that is left."""
    closed: bool = False
    """Return to the first image."""

    @abstractmethod
    def times(self, n_images: int) -> list[float]:
        """When each view is: at 0 at the first image, at 1 at the second; ``n_images`` is the first one again, if closed."""


def even_steps(count: int, first: float, last: float) -> list[float]:
    """Numbers from the first to the last; only the first where there is room for one."""
    return [first + (last - first) * i / max(count - 1, 1) for i in range(count)]


def round_trip(count: int, start: float = 0.0, degrees: float = 360.0) -> list[float]:
    """Azimuths around a circle, evenly; the last one stands a step before the start."""
    return [start + degrees * i / count for i in range(count)]
