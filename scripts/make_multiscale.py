#!/usr/bin/env python3
"""Makes mip-NeRF's multiscale copy of a dataset in Blender's layout: each photo also at a half, a quarter and an eighth of its size.

    python scripts/make_multiscale.py --data data/lego --output data/lego_multiscale
    ns-train mip-nerf-custom --data data/lego_multiscale multiscale-data

A pixel is the mean of those that it covers, colours weighted by their alpha. Source: Barron et al., Mip-NeRF, 2021, section 4.1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image

from nerf_plugins.errors import InputError
from nerf_plugins.files.writing import check_free
from nerf_plugins.images.reading import read_image

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Options:
    """A multiscale copy of a dataset in Blender's layout."""

    data: Path
    """Folder with transforms_train.json."""
    output: Path
    """Folder of the copy; must not exist."""
    levels: int = 4
    """Sizes: the photo's own, a half, a quarter and so on."""


def halved(image: np.ndarray) -> np.ndarray:
    """(h, w, 4) premultiplied float -> (h / 2, w / 2, 4): means of 2x2 pixels."""
    height, width = image.shape[:2]
    return image.reshape(height // 2, 2, width // 2, 2, 4).mean((1, 3))


def premultiplied(image: np.ndarray) -> np.ndarray:
    """uint8 RGB or RGBA -> float RGBA in [0, 1], the colour times alpha."""
    rgb = image[..., :3] / 255.0
    alpha = image[..., 3:] / 255.0 if image.shape[-1] == 4 else np.ones_like(rgb[..., :1])
    return np.concatenate([rgb * alpha, alpha], axis=-1)


def straight(image: np.ndarray) -> np.ndarray:
    """The way back; colours of empty pixels are 0."""
    alpha = image[..., 3:]
    rgb = np.divide(image[..., :3], alpha, out=np.zeros_like(image[..., :3]), where=alpha > 0)
    return (np.concatenate([rgb, alpha], axis=-1) * 255.0 + 0.5).astype(np.uint8)


def write_levels(source: Path, target: Path, n_levels: int) -> list[Path]:
    """Writes a photo in all sizes.

    Returns:
        The files, largest first: NAME.png, NAME_2.png, NAME_4.png ...

    Raises:
        InputError: its sides cannot be halved as often.
    """
    pixels = read_image(source, as_stored=True)
    height, width = pixels.shape[:2]
    if height % 2 ** (n_levels - 1) or width % 2 ** (n_levels - 1):
        raise InputError(
            f"{source} has {width}x{height} pixels, which cannot be halved {n_levels - 1} times: give fewer --levels"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    image, files = premultiplied(pixels), []
    for level in range(n_levels):
        image = image if level == 0 else halved(image)
        files.append(target if level == 0 else target.with_name(f"{target.stem}_{2**level}.png"))
        Image.fromarray(straight(image)).save(files[-1])
    return files


def copy_split(options: Options, split: str) -> int:
    """Writes a split's photos and its transforms file; gives the number of photos."""
    meta = json.loads((options.data / f"transforms_{split}.json").read_text(encoding="utf-8"))
    frames: list[dict[str, Any]] = []
    for frame in meta["frames"]:
        name = frame["file_path"].removeprefix("./") + ".png"
        files = write_levels(options.data / name, options.output / name, options.levels)
        frames += [
            frame | {"file_path": f"./{f.relative_to(options.output).with_suffix('').as_posix()}"} for f in files
        ]
    text = json.dumps(meta | {"frames": frames}, indent=1)
    (options.output / f"transforms_{split}.json").write_text(text, encoding="utf-8")
    return len(frames)


def main() -> None:
    """Makes the copy; says how many photos each split has."""
    options = tyro.cli(Options, description=__doc__)
    try:
        if options.levels < 1:
            raise InputError(f"--levels {options.levels}: give 1 or more")
        check_free(options.output, "--output")
        present = [split for split in SPLITS if (options.data / f"transforms_{split}.json").exists()]
        if not present:
            raise InputError(f"--data {options.data} has no transforms_train.json: give a dataset in Blender's layout")
        for split in present:
            print(f"{split}: {copy_split(options, split)} photos")
    except InputError as e:
        raise SystemExit(str(e)) from e


if __name__ == "__main__":
    main()
