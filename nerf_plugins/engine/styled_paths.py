"""Camera paths with looks: ``ns-render`` reads poses, fields of view and times of a path's file, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from nerfstudio.cameras.camera_paths import get_path_from_json
from nerfstudio.cameras.cameras import Cameras

from nerf_plugins.data.looks import MEAN, photo_weights
from nerf_plugins.engine.one_line_errors import one_line_errors
from nerf_plugins.errors import InputError
from nerf_plugins.fields.codes import PHOTO_WEIGHTS


def honour_styles(names: Sequence[str], has_codes: bool) -> None:
    """Lets a running ``ns-render`` read the views' ``style`` too: it calls the reader below in place of nerfstudio's.

    Args:
        names: of the training photos.
        has_codes: whether the model has codes of photos.
    """
    render = sys.modules.get("nerfstudio.scripts.render")
    if render is not None:
        render.get_path_from_json = lambda content: path_with_styles(content, names, has_codes)  # type: ignore[attr-defined]


def path_with_styles(content: Mapping[str, Any], names: Sequence[str], has_codes: bool) -> Cameras:
    """nerfstudio's cameras of a path; where views have a style, with each photo's share in ``metadata``.

    Args:
        content: of the path's file; see ``camera_paths/files.py``.
        names: of the training photos.
        has_codes: whether the model has codes of photos.

    Raises:
        SystemExit: with one line: a style names no training photo, or the model has no codes.
    """
    cameras = get_path_from_json(dict(content))
    styles = [view.get("style") for view in content["camera_path"]]
    if not any(styles):
        return cameras
    with one_line_errors():
        if not has_codes:
            raise InputError(
                "the camera path has styles, and this model was trained without codes of photos (appearance none): "
                "write a path without --style"
            )
        weights = [photo_weights(style or {MEAN: 1.0}, names, "camera path, style") for style in styles]
    cameras.metadata = {PHOTO_WEIGHTS: torch.stack(weights)}
    return cameras
