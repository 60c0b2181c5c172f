"""What the failure of a dataparser means: data in another one's layout, a broken image, a file that is not what it should be."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

from nerfstudio.configs.dataparser_configs import all_dataparsers
from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig
from nerfstudio.data.dataparsers.blender_dataparser import BlenderDataParserConfig
from nerfstudio.data.dataparsers.dnerf_dataparser import DNeRFDataParserConfig
from nerfstudio.data.dataparsers.instant_ngp_dataparser import InstantNGPDataParserConfig
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from PIL import UnidentifiedImageError

from nerf_plugins.console import collected
from nerf_plugins.data.checks import missing_image
from nerf_plugins.data.transforms import check_files, frame_files, missing_camera_value, read_transforms, wanted_files
from nerf_plugins.data.unposed import without_poses
from nerf_plugins.errors import InputError, near_path
from nerf_plugins.images.reading import check_readable, read_header

_NERFSTUDIO = {
    "blender-data": ("transforms_train.json",),
    "nerfstudio-data": ("transforms.json",),
    "instant-ngp-data": ("transforms.json",),
}

_OF_THE_LAYOUT = (FileNotFoundError, AssertionError, AttributeError)
"""What nerfstudio's dataparsers raise if names are without endings or a camera is described in another way; all else is an option's or
value's fault, which another dataparser might overlook."""


def layouts() -> dict[str, tuple[str, ...]]:
    """Dataparsers, and the files of which one tells their layout: some of nerfstudio's, and all whose target class, of this package or
    another one, lists them as ``layout_files``."""
    marks = {name: getattr(config._target, "layout_files", ()) for name, config in all_dataparsers.items()}
    return dict(sorted((_NERFSTUDIO | {name: files for name, files in marks.items() if files}).items()))


class Fit(NamedTuple):
    """A dataparser whose layout the data seem to have.

    Attributes:
        name: as it is given to ns-train.
        mark: the file that tells so.
        problem: why it cannot read the data; None if it can.
    """

    name: str
    mark: str
    problem: str | None


def explain_failure(config: DataParserConfig, error: Exception, has_parsed: bool) -> InputError | None:
    """One line for the user on why a dataparser, or what was made of its outputs, failed, where that is known.

    Args:
        config: the dataparser's.
        error: what was raised.
        has_parsed: the dataparser has already read all splits.

    Returns:
        None: the error is better left as it is.
    """
    data, name = config.data, dataparser_name(config)
    if not data.exists() and not isinstance(error, InputError):
        return InputError(f"--data {data} does not exist{near_path(data)}: give the folder of a dataset")
    if isinstance(error, InputError):
        return None if has_parsed else _other_layout(config, name, error) or _without_poses(config, name)
    if isinstance(error, (ImportError, MemoryError)):
        return None
    known = _broken_image(config)
    if known is None and isinstance(error, UnidentifiedImageError):  # names the file
        known = InputError(f"{error}: replace it or leave it out")
    if known is None and not has_parsed:
        known = _other_layout(config, name, error) or _without_poses(config, name)
        known = known or _missing_image(config) or _missing_value(config)
        known = known or InputError(f"--data {data}: {name} cannot read it ({_line(error)})")
    return known


def dataparser_name(config: DataParserConfig) -> str:
    """As it is given to ns-train."""
    names = [name for name, known in all_dataparsers.items() if type(known) is type(config)]
    return names[0] if names else type(config).__name__


def fitting_dataparsers(data: Path, but: str = "") -> list[Fit]:
    """The dataparsers, but for one, whose layout a folder is in; each is tried.

    nerfstudio says much while it reads; it is not heard here.
    """
    fits = []
    for name, marks in layouts().items():
        there = [mark for mark in marks if (data / mark).is_file()]
        if there and name != but:
            fits.append(Fit(name, there[0], _problem(type(all_dataparsers[name])(data=data))))
    return fits


def _problem(config: DataParserConfig) -> str | None:
    """Why a dataparser cannot read its data."""
    try:
        with collected(), redirect_stdout(io.StringIO()):
            check_files(config)
            dataparser = config.setup()
            found = [
                name for split in ("train", "val") for name in dataparser.get_dataparser_outputs(split).image_filenames
            ]
            read_header(found[0])
    except Exception as e:
        return _line(e)
    missing = [name for name in found if not name.is_file()]
    if missing:
        return f"image {missing[0]} does not exist"
    if isinstance(config, InstantNGPDataParserConfig):  # leaves out what it does not find
        n_frames = len(read_transforms(frame_files(config)[0]).names)
        return f"it finds {len(set(found))} of {n_frames} images" if len(set(found)) < n_frames else None
    return None


def _other_layout(config: DataParserConfig, name: str, error: Exception) -> InputError | None:
    """That another dataparser can read the data, or that none whose files are there can."""
    data, own = config.data, layouts().get(name)
    if own is None and isinstance(error, InputError):
        return None  # ours that reads no layout, demo-data, says itself what is wrong
    has_own = own is not None and any((data / mark).is_file() for mark in own)
    if has_own and not isinstance(error, _OF_THE_LAYOUT):
        return None  # to be mended in data of its own layout
    fits = fitting_dataparsers(data, but=name)
    able = [fit for fit in fits if fit.problem is None]
    if able:
        reason = f"finds no {own[0]}" if own and not has_own else f"fails ({_line(error)})"
        marks = " and ".join(dict.fromkeys(fit.mark for fit in able))
        names = " or ".join(fit.name for fit in able)
        return InputError(f"--data {data}: {name} {reason}, but {marks} is there: give {names} instead")
    if fits and own and not has_own:
        return InputError(
            f"--data {data}: {name} finds no {own[0]}; {fits[0].mark} is there, but {fits[0].name} cannot read it ({fits[0].problem})"
        )
    return None


def _without_poses(config: DataParserConfig, name: str) -> InputError | None:
    """That the data are photos or a video, where the dataparser looks for files that are not there."""
    data, known = config.data, layouts()
    if name not in known and not wanted_files(config):
        return None  # what else it may read is not known
    if any((data / mark).is_file() for marks in known.values() for mark in marks) or frame_files(config):
        return None
    problem = without_poses(data)
    return InputError(f"--data {data}: {problem}") if problem else None


def _broken_image(config: DataParserConfig) -> InputError | None:
    """A broken image that nerfstudio's parsers look into themselves, and do not name."""
    for image in _first_images(config):
        try:
            if image.is_file():
                check_readable(image)
        except InputError as e:
            return e
    return None


def _missing_image(config: DataParserConfig) -> InputError | None:
    """The same of one that is not there."""
    for image in _first_images(config):
        if not image.is_file():
            return InputError(f"image {image} does not exist: {missing_image(image)}")
    return None


def _missing_value(config: DataParserConfig) -> InputError | None:
    """A frame whose camera is not described in full."""
    files = frame_files(config) if isinstance(config, NerfstudioDataParserConfig) else []
    lacking = missing_camera_value(read_transforms(files[0])) if files else None
    return InputError(f"{files[0]}: {lacking}: add it") if lacking else None


def _first_images(config: DataParserConfig) -> Iterator[Path]:
    for path in frame_files(config):
        try:
            names = read_transforms(path).names
        except InputError:
            continue
        if isinstance(config, NerfstudioDataParserConfig):
            yield path.parent / names[0]
        elif isinstance(config, (BlenderDataParserConfig, DNeRFDataParserConfig)):
            yield path.parent / (names[0].replace("./", "") + ".png")


def _line(error: Exception) -> str:
    """An error's message; that of a failed look-up, a bare key often, says nothing without the error's name."""
    text = str(error).strip()
    first = " ".join(text.splitlines()[0].split()).rstrip(".") if text else ""
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"no such file: {error.filename}"
    return first if first and not isinstance(error, LookupError) else f"{type(error).__name__} {first}".strip()
