"""What the dataparsers ask of folders of images: their names in order, their size, whether they can be decoded; and the held-out views."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from nerf_plugins.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")


def list_images(folder: Path) -> list[Path]:
    """The images of a folder in the order of their names as strings, as the tools that write LLFF's and NeuS's cameras order them.

    Raises:
        InputError: there are none.
    """
    images = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    if not images:
        raise InputError(f"{folder}: has no images; put {', '.join(SUFFIXES)} files there or remove the folder.")
    return sorted(images)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height), from the file's header.

    Raises:
        InputError: it is no image.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError) as e:
        raise InputError(f"{path}: not a readable image ({e}); replace it.") from e


def common_size(images: list[Path]) -> tuple[int, int]:
    """(width, height) of all images.

    Raises:
        InputError: one is of another size than the first.
    """
    sizes = [image_size(path) for path in images]
    for path, size in zip(images, sizes, strict=True):
        if size != sizes[0]:
            raise InputError(
                f"{path}: is {size[0]}x{size[1]} pixels and {images[0].name} {sizes[0][0]}x{sizes[0][1]}; "
                "all images must have one size."
            )
    return sizes[0]


def check_readable(path: Path) -> None:
    """Decode the whole image once, JPEG at an eighth of its size, to find a truncated file now.

    Raises:
        InputError: it is broken.
    """
    try:
        with Image.open(path) as image:
            image.draft("RGB", (1, 1))
            image.load()
    except (OSError, SyntaxError, ValueError) as e:
        raise InputError(f"{path}: the image is broken ({e}); replace it.") from e


def check_holdout(holdout_every: int) -> None:
    """Refuse a `holdout_every` that leaves nothing to train on."""
    if holdout_every < 2:
        raise InputError(f"holdout_every {holdout_every}: give 2 or more; 8 holds out every 8th view.")


def split_indices(count: int, holdout_every: int, split: str) -> list[int]:
    """Indices of the views of a split, of `count` views: 0, N, 2N ... are held out; `val` and `test` are the same."""
    if split not in ("train", "val", "test"):
        raise InputError(f"split {split!r}: choose train, val or test.")
    return [i for i in range(count) if (i % holdout_every == 0) != (split == "train")]
