"""What the dataparsers ask of folders of images: their names in order and their sizes; and the held-out views."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nerf_plugins.console import warn
from nerf_plugins.errors import InputError
from nerf_plugins.images.pairing import in_natural_order, order_by_number, orders_differ
from nerf_plugins.images.reading import SUFFIXES, read_header

COMFORTABLE_SIZE = 1600
"""Without ``downscale_factor`` the images are not to be larger than this, in pixels."""


def list_images(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """The images of a folder in the natural order of their names: 2.png before 10.png.

    Raises:
        InputError: there are none.
    """
    images = [p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith(".")]
    if not images:
        raise InputError(f"{folder}: has no images; put {', '.join(suffixes)} files there or remove the folder")
    return in_natural_order(images)


def choose_factor(
    data: Path,
    present: Mapping[int, Path],
    wanted: int | None,
    name: Callable[[int], str],
    suffixes: Sequence[str] = SUFFIXES,
) -> int:
    """The wanted downscale factor, or the best of those present: of the largest images that are at most ``COMFORTABLE_SIZE`` wide and
    high, or of the smallest if all are larger.

    Args:
        data: the dataset's folder.
        present: the folder of each factor that has one, within ``data``.
        wanted: None: the best.
        name: of a factor's folder.
        suffixes: of the images.

    Raises:
        InputError: there is no folder, or not the wanted one, or one without images.
    """
    there = [present[factor].relative_to(data).as_posix() for factor in sorted(present)]
    names = ", ".join(there) or f"no folder {name(1)}, {name(4)} or {name(8)}"
    if wanted is not None and wanted not in present:
        raise InputError(f"downscale_factor {wanted}: {data} has no folder {name(wanted)}; there is {names}")
    if not present:
        raise InputError(f"{data}: there is {names}; put the images into one of them")
    if wanted is not None:
        return wanted
    for factor in sorted(present):
        if max(image_size(list_images(present[factor], suffixes)[0])) <= COMFORTABLE_SIZE:
            return factor
    return max(present)


def order_for_cameras(images: list[Path], count: int, by_strings: bool) -> list[Path]:
    """The images of cameras 0 ... `count` - 1, a list without names; a word where their names can be ordered in two ways and do not tell
    which the cameras' is.

    Args:
        images: in natural order.
        count: number of cameras.
        by_strings: 10.png before 2.png.
    """
    if by_strings:
        return sorted(images)
    ordered, is_told = order_by_number(images, count)
    if not is_told and orders_differ(images):
        strings = sorted(images)
        k = next(k for k in range(len(ordered)) if ordered[k] != strings[k])
        warn(
            f"{ordered[0].parent}: camera {k} is taken to be that of {ordered[k].name}, in the natural order of the names; in that of "
            f"strings it is {strings[k].name}'s: give --image-order strings if the cameras are in that one"
        )
    return ordered


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) as shown, from the file's header.

    Raises:
        InputError: it is no image.
    """
    return read_header(path).size


def common_size(images: list[Path], aspect: float) -> tuple[int, int]:
    """(width, height) of all images: as shown, or, where only that fits, as stored.

    Args:
        images: their files.
        aspect: width through height of their camera.

    Raises:
        InputError: one is of another size than the first.
    """
    headers = [read_header(path) for path in images]

    def misfit(size: tuple[int, int]) -> float:
        return abs(size[0] / size[1] / aspect - 1.0)

    sizes = [min(header.size, header.stored_size, key=misfit) for header in headers]
    for path, size in zip(images, sizes, strict=True):
        if size != sizes[0]:
            raise InputError(
                f"{path}: is {size[0]}x{size[1]} pixels and {images[0].name} {sizes[0][0]}x{sizes[0][1]}; "
                "all images must have one size."
            )
    return sizes[0]


def check_holdout(holdout_every: int) -> None:
    """Refuse a `holdout_every` that leaves nothing to train on."""
    if holdout_every < 2:
        raise InputError(f"holdout_every {holdout_every}: give 2 or more; 8 holds out every 8th view")


def split_indices(count: int, holdout_every: int, split: str) -> list[int]:
    """Indices of the views of a split, of `count` views: 0, N, 2N ... are held out; `val` and `test` are the same."""
    if split not in ("train", "val", "test"):
        raise InputError(f"split {split!r}: choose train, val or test")
    return [i for i in range(count) if (i % holdout_every == 0) != (split == "train")]
