"""``timed-data``: nerfstudio's ``transforms.json`` with a ``time`` in each frame, which ``nerfstudio-data`` does not read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.data.dataparsers.nerfstudio_dataparser import Nerfstudio, NerfstudioDataParserConfig
from nerfstudio.plugins.registry_dataparser import DataParserSpecification

from nerf_plugins.dataparsers.background import read_background
from nerf_plugins.errors import InputError


@dataclass
class TimedDataParserConfig(NerfstudioDataParserConfig):
    """nerfstudio's dataset with the time of each photo"""

    _target: type = field(default_factory=lambda: TimedDataParser, kw_only=True)
    """target class to instantiate"""
    stretch_times: bool = False
    """Map the first time to 0 and the last one to 1, whatever their unit: seconds, or numbers of a video's frames."""


@dataclass
class TimedDataParser(Nerfstudio):
    """nerfstudio's own, whose cameras have times.

    Points of what does not move may lie beside the file as ``points.npy`` (n, 3), in the world that the dataparser's transform starts from:
    that of the poses, unless the file has an ``applied_transform``.
    """

    config: TimedDataParserConfig
    includes_time: bool = True

    def _generate_dataparser_outputs(self, split: str = "train", **kwargs: Any) -> DataparserOutputs:
        outputs = super()._generate_dataparser_outputs(split)
        times = self._times()
        outputs.cameras.times = torch.tensor([[times[path]] for path in outputs.image_filenames], dtype=torch.float32)
        data = self.config.data
        points = read_background((data.parent if data.suffix == ".json" else data) / "points.npy")
        if points is not None:
            turn, shift = outputs.dataparser_transform.double().split([3, 1], dim=1)
            scene = outputs.dataparser_scale * (torch.from_numpy(points) @ turn.T + shift[:, 0])
            outputs.metadata["background_points"] = scene.float()
        return outputs

    def _times(self) -> dict[Path, float]:
        """The time of each image, in [0, 1].

        Raises:
            InputError: naming the frame and its time.
        """
        data = self.config.data
        path, folder = (data, data.parent) if data.suffix == ".json" else (data / "transforms.json", data)
        frames = json.loads(path.read_text(encoding="utf-8"))["frames"]
        values = [_time(path, frame) for frame in frames]
        first, last = min(values), max(values)
        if self.config.stretch_times:
            values = [(value - first) / (last - first) if last > first else 0.0 for value in values]
        elif first < 0.0 or last > 1.0:
            worst = frames[values.index(first if first < 0.0 else last)]
            raise InputError(
                f"{path}: the time of {worst['file_path']} is {worst['time']:g}, not in [0, 1]: divide the times by the last one, "
                "or use --stretch-times True"
            )
        names = [self._get_fname(Path(frame["file_path"]), folder) for frame in frames]
        return dict(zip(names, values))


specification = DataParserSpecification(
    config=TimedDataParserConfig(),
    description="nerfstudio's transforms.json with a time in [0, 1] in each frame, for moving scenes.",
)


def _time(path: Path, frame: dict[str, Any]) -> float:
    """A frame's time as it is written."""
    time = frame.get("time")
    if isinstance(time, bool) or not isinstance(time, (int, float)) or not math.isfinite(time):
        raise InputError(
            f'{path}: the time of {frame.get("file_path")} is {time!r}: give each frame a "time", a number in [0, 1]'
        )
    return float(time)
