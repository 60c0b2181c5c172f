"""Files of a dataset that is made in several calls."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image


@contextmanager
def finished(path: Path) -> Iterator[Path]:
    """Gives a path beside the file's place to write to; what is there at the end is moved to its place.

    The path is the same each time, so that a call after a kill writes over what that has left.
    """
    part = path.with_name(f".{path.name}")
    yield part
    os.replace(part, path)


def save_picture(image: Image.Image, path: Path, **options: object) -> None:
    """As JPEG or PNG, as the path's ending says; whole or not there.

    Args:
        image: RGB, or RGBA for a PNG.
        path: of the file.
        options: others of Pillow's ``save``.
    """
    with finished(path) as part:
        if path.suffix == ".jpg":
            image.save(part, "JPEG", quality=95, subsampling=0, **options)
        else:
            image.save(part, "PNG", **options)
