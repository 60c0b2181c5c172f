"""Choosing and joining the images of what a dataparser found, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs, Semantics
from torch import Tensor

from nerf_plugins.errors import InputError


def select_frames(outputs: DataparserOutputs, indices: Sequence[int]) -> DataparserOutputs:
    """The images with these indices, in this order, with their cameras, masks and metadata.

    Metadata belong to the images if they are a list or tuple with one entry for each image that is no number (file names, say), or
    nerfstudio's ``Semantics``. Other metadata, scene box and transform stay as they are.

    Args:
        outputs: what the dataparser found.
        indices: of the images to keep.
    """
    n = len(outputs.image_filenames)

    def pick(values: Sequence[Any]) -> list[Any]:
        return [values[i] for i in indices]

    def pick_metadata(value: Any) -> Any:
        if isinstance(value, Semantics):
            return replace(value, filenames=pick(value.filenames))
        return pick(value) if _is_per_image(value, n) else value

    return replace(
        outputs,
        image_filenames=pick(outputs.image_filenames),
        cameras=outputs.cameras[torch.tensor(list(indices), dtype=torch.long)],
        mask_filenames=None if outputs.mask_filenames is None else pick(outputs.mask_filenames),
        metadata={key: pick_metadata(value) for key, value in outputs.metadata.items()},
    )


def join_frames(parts: Sequence[DataparserOutputs]) -> DataparserOutputs:
    """The images of several splits of one dataset, each once; everything else is the first split's.

    Args:
        parts: what the dataparser found in each split.

    Raises:
        InputError: the splits do not live in one coordinate frame, or differ in what they say of an image.
    """
    first = parts[0]
    for part in parts[1:]:
        same = torch.allclose(part.dataparser_transform, first.dataparser_transform, atol=1e-5)
        if not same or abs(part.dataparser_scale / first.dataparser_scale - 1.0) > 1e-5:
            raise InputError(
                "split file: this dataparser moves or scales the world differently in each split, so its images cannot be exchanged"
            )
    metadata = dict(first.metadata)
    for key, value in first.metadata.items():
        metadata[key] = _join_metadata(value, parts, key)
    joined = replace(
        first,
        image_filenames=[name for part in parts for name in part.image_filenames],
        cameras=_join_cameras([part.cameras for part in parts]),
        mask_filenames=_join_lists([part.mask_filenames for part in parts], "masks"),
        metadata=metadata,
    )
    seen = {name: i for i, name in reversed(list(enumerate(joined.image_filenames)))}
    return select_frames(joined, sorted(seen.values()))


def _is_per_image(value: Any, n: int) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == n and not any(isinstance(v, (int, float)) for v in value)


def _join_metadata(value: Any, parts: Sequence[DataparserOutputs], key: str) -> Any:
    values = [part.metadata.get(key) for part in parts]
    if isinstance(value, Semantics):
        names = [semantics.filenames if isinstance(semantics, Semantics) else None for semantics in values]
        return replace(value, filenames=_join_lists(names, key))
    if not _is_per_image(value, len(parts[0].image_filenames)):
        return value
    return _join_lists(values, key)


def _join_lists(lists: Sequence[Sequence[Any] | None], what: str) -> list[Any] | None:
    given = [values for values in lists if values is not None]
    if given and len(given) < len(lists):
        raise InputError(
            f"split file: only some of the dataset's splits have {what}, so its images cannot be exchanged"
        )
    return [value for values in given for value in values] if given else None


def _join_cameras(cameras: Sequence[Cameras]) -> Cameras:
    def join(values: list[Any], name: str) -> Any:
        if isinstance(values[0], dict):
            return {key: join([value.get(key) for value in values], key) for key in values[0]}
        if len({type(value) for value in values}) > 1:
            raise InputError(
                f"split file: only some of the dataset's splits have the cameras' {name}, so its images cannot be exchanged"
            )
        return torch.cat(values) if isinstance(values[0], Tensor) else values[0]

    names = [field.name for field in fields(Cameras)]
    return Cameras(**{name: join([getattr(c, name) for c in cameras], name) for name in names})
