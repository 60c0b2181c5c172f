"""Pixels whose depth is known: where photos see the sparse points that their poses were found with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from torch import Tensor

from nerf_plugins.data.names import whole_folder
from nerf_plugins.data.sparse_points import points_file, sparse_points
from nerf_plugins.errors import InputError

VIEWS_KEY = "sparse_views_path"
"""Of transforms.json: the file, which process-data has written beside it."""
_FEWEST = 2
"""Photos of the training that see a point: what only held-out photos place is not known to it."""


class SparseDepths(NamedTuple):
    """Pixels of the training images."""

    pixels: Int[Tensor, "n 3"]
    """Image of the dataset, row, column."""
    depths: Float[Tensor, "n"]
    """Distance from the camera of what is seen there, in training's units."""


def read_sparse_depths(config: object, outputs: DataparserOutputs, cameras: Cameras) -> SparseDepths:
    """The depths that `nerf-plugins process-data` has left beside its photos: sparse points, and which photo sees which of them where.

    A point counts that two training photos see or more.

    Args:
        config: the dataparser's.
        outputs: what it gave for training.
        cameras: of the training images, in the size in which they are trained on.

    Raises:
        InputError: there are none, or they do not fit the points or the photos.
    """
    found = points_file(config)
    name = None if found is None else found[0].meta.get(VIEWS_KEY)
    if found is None or not isinstance(name, str) or not (path := found[0].path.parent / name).is_file():
        raise InputError(
            "depth_share: the dataset has no depths of sparse points; nerf-plugins process-data makes them with the poses: make it anew, "
            "or leave the option out"
        )
    points = torch.from_numpy(sparse_points(config, outputs)[:, :3])
    views = _Views.read(path, len(points)).of_images(_places(outputs.image_filenames, found[0].path.parent))
    seen = torch.bincount(views.points, minlength=len(points))[views.points] >= _FEWEST
    images, rows = views.images[seen], views.points[seen]
    if not len(images):
        raise InputError(f"{path}: no point is seen by {_FEWEST} of the {len(outputs.image_filenames)} training photos")
    sizes = torch.cat([cameras.width, cameras.height], dim=1).cpu()[images]
    column, row = torch.minimum((views.places[seen] * sizes).long(), sizes - 1).unbind(-1)
    depths = (points[rows] - cameras.camera_to_worlds[:, :, 3].cpu().double()[images]).norm(dim=-1)
    return SparseDepths(torch.stack([images, row, column], dim=-1), depths.float())


class _Views(NamedTuple):
    """Sightings of points."""

    names: Sequence[str]
    images: Int[Tensor, "n"]
    """Of the names."""
    points: Int[Tensor, "n"]
    """Row of each."""
    places: Float[Tensor, "n 2"]
    """x, y as shares of the width and height."""

    @staticmethod
    def read(path: Path, n_points: int) -> _Views:
        try:
            with np.load(path) as file:
                images, points = (torch.from_numpy(file[key]).long() for key in ("images", "points"))
                views = _Views(file["names"].tolist(), images, points, torch.from_numpy(file["places"]))
        except (OSError, ValueError, KeyError) as e:
            raise InputError(f"{path}: the views of the sparse points cannot be read ({e})") from e
        if len(points) and int(points.max()) >= n_points:
            raise InputError(f"{path}: names point {int(points.max())} of {n_points}: it belongs to other points")
        return views

    def of_images(self, places: dict[str, int]) -> _Views:
        """Those in images that are there, by their places."""
        renamed = torch.tensor([places.get(name, -1) for name in self.names])
        kept = renamed[self.images] >= 0
        return _Views(list(places), renamed[self.images[kept]], self.points[kept], self.places[kept])


def _places(images: Sequence[Path], folder: Path) -> dict[str, int]:
    """Of each image its place, by what transforms.json calls it; smaller copies lie in a folder of their own with the same names."""
    places = {}
    for place, path in enumerate(images):
        parts = path.relative_to(folder).parts if path.is_relative_to(folder) else path.parts[-2:]
        places["/".join([whole_folder(parts[0])[0], *parts[1:]])] = place
    return places
