"""nerfstudio's camera-path JSON: what ``ns-render camera-path`` and the viewer's "Load Path" read, with the novelty of each view added.

* ``camera_path``: every view, with ``camera_to_world`` (4x4, by rows; x right, y up, looking along -z; the model's space), ``fov``
  (vertical, degrees) and ``aspect``. Pixels are squares, the principal point is the centre. This is what is rendered.
* ``keyframes``: some of these views, ``matrix`` being the same as ``camera_to_world``. The viewer reads only these, lays its own spline
  through them, and does not read ``is_cycle``: tick its "Loop" for a closed path.
* of a moving scene ``render_time`` in each view and keyframe: its time, in [0, 1]. nerfstudio takes the times of all views or of none.
* in a view of ``camera_path``, ``novelty``: ``distance`` to the nearest training camera, in the model's unit; ``angle`` in degrees to the
  training camera that looks most nearly the same way; and ``nearest``: image, distance and angle of the nearest training cameras.
* in a view of ``camera_path``, ``style``, where ``--style`` was given: shares of the looks of training photos, by name (``mean`` is that of
  all). ``ns-render`` shows them with a run of this package; the viewer does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from nerf_plugins.camera_paths.novelty import Novelty
from nerf_plugins.files.writing import new_file

MAX_KEYFRAMES = 60
"""More are a burden to the viewer."""


class CameraPath(NamedTuple):
    """A path to render.

    Attributes:
        poses: camera-to-world.
        fovs: vertical, in degrees.
        width, height: of the pictures in pixels, even.
        fps: views a second.
        closed: the first view follows the last.
        styles: of each view, shares of the looks of training photos, by name; empty for the mean look in all.
        times: of the views, in [0, 1]; None where the scene does not move.
    """

    poses: Float[np.ndarray, "n 4 4"]
    fovs: Float[np.ndarray, "n"]
    width: int
    height: int
    fps: float
    closed: bool
    styles: Sequence[Mapping[str, float]] = ()
    times: Float[np.ndarray, "n"] | None = None


def even_size(width: float, height: float) -> tuple[int, int]:
    """The nearest even numbers, at least 2: H.264 takes no others."""
    return max(2, 2 * round(0.5 * width)), max(2, 2 * round(0.5 * height))


def to_json(path: CameraPath, novelty: Novelty, names: Sequence[str]) -> dict[str, Any]:
    """The file's content.

    Args:
        path: the path.
        novelty: of its views.
        names: of the training cameras' images.
    """
    n, aspect = len(path.poses), path.width / path.height
    views = [
        {"camera_to_world": pose.ravel().tolist(), "fov": float(fov), "aspect": aspect}
        for pose, fov in zip(path.poses, path.fovs)
    ]
    if path.times is not None:
        views = [view | {"render_time": float(time)} for view, time in zip(views, path.times)]
    # No "default_fov": the viewer would show frames that have it with the slider's field of view instead.
    return {
        "camera_type": "perspective",
        "render_width": path.width,
        "render_height": path.height,
        "fps": path.fps,
        "seconds": n / path.fps,
        "is_cycle": path.closed,
        "smoothness_value": 0.0,
        "keyframes": _keyframes(views, path.fps),
        "default_transition_sec": _stride(n) / path.fps,
        "camera_path": [
            view | _style(path, i) | {"novelty": _describe(novelty, i, names)} for i, view in enumerate(views)
        ],
    }


def write_json(content: dict[str, Any], path: Path) -> None:
    """Writes the file; it is complete or not there.

    Raises:
        InputError: the file exists, or cannot be written.
    """
    with new_file(path, "--output-path") as part:
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _stride(n: int) -> int:
    """From a keyframe to the next."""
    return -(-n // MAX_KEYFRAMES)


def _keyframes(views: Sequence[dict[str, Any]], fps: float) -> list[dict[str, Any]]:
    stride, last = _stride(len(views)), len(views) - 1
    frames = [*range(0, last, stride), last]
    return [
        {
            "matrix": views[i]["camera_to_world"],
            "fov": views[i]["fov"],
            "aspect": views[i]["aspect"],
            **_time(views[i]),
            # The last one may be nearer than the others are.
            "override_transition_enabled": i == last,
            "override_transition_sec": max((i - before) / fps, 1e-3),
        }
        for before, i in zip([0, *frames], frames)
    ]


def _style(path: CameraPath, view: int) -> dict[str, Any]:
    return {"style": dict(path.styles[view])} if path.styles else {}


def _time(view: dict[str, Any]) -> dict[str, Any]:
    """A keyframe's time, where there is one; without the switch the viewer would show it at the time of its slider."""
    return {"render_time": view["render_time"], "override_time_enabled": True} if "render_time" in view else {}


def _describe(novelty: Novelty, view: int, names: Sequence[str]) -> dict[str, Any]:
    nearest = zip(novelty.nearest[view], novelty.distances[view], novelty.angles[view])
    return {
        "distance": float(novelty.distance[view]),
        "angle": float(novelty.least_angle[view]),
        "nearest": [{"image": names[i], "distance": float(d), "angle": float(a)} for i, d, a in nearest],
    }
