"""`timed-data`: nerfstudio's layout with times."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
from PIL import Image

from nerf_plugins.data.transforms import check_files
from nerf_plugins.dataparsers.timed import TimedDataParserConfig
from nerf_plugins.errors import InputError
from nerf_plugins.scenes.cameras import look_at

N = 9


def write(folder: Path, times: list, name: str = "transforms.json") -> Path:
    """Frames that the file lists in another order than their names have."""
    frames = []
    (folder / "images").mkdir()
    for i in range(N):
        angle = 2 * math.pi * i / N
        pose = look_at(np.array([3 * math.cos(angle), 3 * math.sin(angle), 1.0]), np.zeros(3))
        Image.new("RGB", (8, 6), (20 * i, 0, 0)).save(folder / "images" / f"f_{i}.png")
        frame = {"file_path": f"images/f_{i}.png", "transform_matrix": pose.tolist()}
        frames.append(frame if times[i] is None else frame | {"time": times[i]})
    meta = {"fl_x": 8.0, "fl_y": 8.0, "cx": 4.0, "cy": 3.0, "w": 8, "h": 6, "frames": frames[::-1]}
    (folder / name).write_text(json.dumps(meta))
    return folder


TIMES = [i / (N - 1) for i in range(N)]


@pytest.mark.parametrize("name", ["", "some.json"])
def test_each_image_has_its_own_time(tmp_path: Path, name: str):
    folder = write(tmp_path, TIMES, name or "transforms.json")
    parser = TimedDataParserConfig(data=folder / name, eval_mode="interval", eval_interval=3).setup()
    assert parser.includes_time
    seen = {}
    for split in ("train", "test"):
        outputs = parser.get_dataparser_outputs(split)
        assert outputs.cameras.times.shape == (len(outputs.image_filenames), 1)
        seen |= dict(zip((p.stem for p in outputs.image_filenames), outputs.cameras.times.reshape(-1).tolist()))
    assert seen == {f"f_{i}": pytest.approx(TIMES[i]) for i in range(N)}


def test_all_else_is_nerfstudios(tmp_path: Path):
    folder = write(tmp_path, TIMES)
    ours = TimedDataParserConfig(data=folder).setup().get_dataparser_outputs("train")
    theirs = NerfstudioDataParserConfig(data=folder).setup().get_dataparser_outputs("train")
    assert theirs.cameras.times is None
    assert ours.image_filenames == theirs.image_filenames
    assert ours.cameras.camera_to_worlds.equal(theirs.cameras.camera_to_worlds)
    check_files(TimedDataParserConfig(data=folder))


def test_times_in_another_unit_can_be_stretched(tmp_path: Path):
    folder = write(tmp_path, [10.0 + 3 * i for i in range(N)])
    with pytest.raises(InputError, match=r"the time of images/f_8.png is 34, not in \[0, 1\].*--stretch-times"):
        TimedDataParserConfig(data=folder).setup().get_dataparser_outputs("train")
    outputs = (
        TimedDataParserConfig(data=folder, stretch_times=True, eval_mode="all").setup().get_dataparser_outputs("train")
    )
    assert outputs.cameras.times.reshape(-1).tolist() == pytest.approx(TIMES)


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "None"), (float("nan"), "nan"), ("late", "'late'"), (True, "True"), (float("inf"), "inf")],
)
def test_a_frame_without_a_sound_time_is_named(tmp_path: Path, value: object, said: str):
    folder = write(tmp_path, [*TIMES[:3], value, *TIMES[4:]])
    with pytest.raises(InputError, match=f"the time of images/f_3.png is {said}: give each frame"):
        TimedDataParserConfig(data=folder).setup().get_dataparser_outputs("train")
