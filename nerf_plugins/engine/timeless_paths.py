"""Views without times, of a model that needs them: refused in one line that says how to get some."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from nerfstudio.cameras.camera_paths import get_interpolated_camera_path

from nerf_plugins.engine.one_line_errors import one_line_errors
from nerf_plugins.errors import InputError


def refuse_timeless_paths(needs_times: bool) -> None:
    """Lets a running ``ns-render interpolate``, whose views have no times, end before the first of them.

    Args:
        needs_times: whether the model cannot be rendered without. If not, nerfstudio's own function is there again.
    """
    render: Any = sys.modules.get("nerfstudio.scripts.render")
    if render is not None:
        render.get_interpolated_camera_path = _refuse if needs_times else get_interpolated_camera_path


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    with one_line_errors():
        raise InputError(
            "ns-render interpolate gives its views no times, and this model shows nothing without one: make a path with times by "
            "nerf-plugins camera-path interpolate --load-config outputs/.../config.yml --time 0 1, and render it by ns-render camera-path"
        )
    raise AssertionError
