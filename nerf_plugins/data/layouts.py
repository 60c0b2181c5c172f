"""What the failure of a dataparser means: data in another one's layout, a broken image, a file that is not what it should be."""

from __future__ import annotations

import json
from pathlib import Path

from nerfstudio.configs.dataparser_configs import all_dataparsers
from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig
from PIL import Image, UnidentifiedImageError

from nerf_plugins.errors import InputError

LAYOUTS = {
    "blender-data": ("transforms_train.json",),
    "nerfstudio-data": ("transforms.json",),
    "llff-data": ("poses_bounds.npy",),
    "neus-data": ("cameras_sphere.npz", "cameras_large.npz"),
}
"""Dataparsers, and the files of which one tells their layout."""


def explain_failure(config: DataParserConfig, error: Exception, has_parsed: bool) -> InputError | None:
    """One line for the user on why a dataparser, or what was made of its outputs, failed, where that is known.

    Args:
        config: the dataparser's.
        error: what was raised.
        has_parsed: the dataparser has already read the training split.

    Returns:
        None: the error is better left as it is.
    """
    data, name = config.data, dataparser_name(config)
    if not data.exists() and not isinstance(error, InputError):
        return InputError(f"--data {data} does not exist: give the folder of a dataset")
    known = None if has_parsed else _other_layout(data, name, error)
    if known is None and name == "blender-data" and not isinstance(error, InputError):
        known = _broken_first_image(data)
    if known is None and isinstance(error, UnidentifiedImageError):  # names the file
        known = InputError(f"{error}: replace it or remove its frame")
    if known is None and not has_parsed and isinstance(error, (AssertionError, LookupError, json.JSONDecodeError)):
        known = InputError(f"--data {data}: {name} cannot read it ({_line(error)})")
    return known


def dataparser_name(config: DataParserConfig) -> str:
    """As it is given to ns-train."""
    names = [name for name, known in all_dataparsers.items() if type(known) is type(config)]
    return names[0] if names else type(config).__name__


def fitting_dataparsers(data: Path) -> list[tuple[str, str]]:
    """The dataparsers whose layout a folder is in, each with the file that tells so."""
    present = {name: [mark for mark in marks if (data / mark).is_file()] for name, marks in LAYOUTS.items()}
    return [(name, marks[0]) for name, marks in present.items() if marks]


def _other_layout(data: Path, name: str, error: Exception) -> InputError | None:
    own = LAYOUTS.get(name)
    if own is None and isinstance(error, InputError):
        return None  # ours that reads no layout, demo-data, says itself what is wrong
    fitting = fitting_dataparsers(data)
    if not fitting or any(other == name for other, _ in fitting):
        return None
    problem = f"fails ({_line(error)})" if own is None else f"finds no {own[0]}"
    marks, names = " and ".join(mark for _, mark in fitting), " or ".join(other for other, _ in fitting)
    return InputError(f"--data {data}: {name} {problem}, but {marks} is there: give {names} instead")


def _broken_first_image(data: Path) -> InputError | None:
    """nerfstudio's Blender parser decodes the first image of each split itself, and does not name it."""
    for transforms in sorted(data.glob("transforms_*.json")):
        try:
            frame = json.loads(transforms.read_text(encoding="utf-8"))["frames"][0]
            image = data / (frame["file_path"].replace("./", "") + ".png")
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError):
            continue
        if not image.is_file():
            return InputError(f"image {image} does not exist: check the frames of {transforms.name}")
        try:
            with Image.open(image) as opened:
                opened.load()
        except (OSError, SyntaxError, ValueError) as e:
            return InputError(f"image {image} cannot be read ({e}): replace it or remove its frame")
    return None


def _line(error: Exception) -> str:
    """An error's message; that of a failed look-up, a bare key often, says nothing without the error's name."""
    text = str(error).strip()
    first = text.splitlines()[0].rstrip(".") if text else ""
    return first if first and not isinstance(error, LookupError) else f"{type(error).__name__} {first}".strip()
