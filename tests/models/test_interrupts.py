"""nerfstudio's viewer breaks a picture off where the camera moves: an exception between any two lines of the thread that renders."""

import subprocess
import sys

import pytest

SCRIPT = """
import importlib, sys
import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.scene_box import SceneBox


class Moved(Exception):
    pass


def breaking_off(lines_left):
    def look(frame, event, argument):
        nonlocal lines_left
        lines_left -= event == "line"
        if lines_left < 0:
            sys.settrace(None)  # as nerfstudio's, once
            raise Moved
        return look

    return look


def render():
    with torch.no_grad():
        return model.get_outputs_for_camera(camera)["rgb"]


config = importlib.import_module(f"nerf_plugins.methods.{sys.argv[1]}").method.config.pipeline.model
box = SceneBox(torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))
model = config.setup(scene_box=box, num_train_data=1, metadata={}, device="cpu").eval()
pose = torch.tensor([[[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3]]])
camera = Cameras(pose, 8.0, 8.0, 4.0, 4.0, 8, 8)
lines, broken = 1.0, 0
while True:  # at the first line, and further and further on
    sys.settrace(breaking_off(int(lines)))
    try:
        render()
    except Moved:
        broken += 1
    else:
        break
    finally:
        sys.settrace(None)
    lines *= 1.1
first, second = render(), render()
assert torch.equal(first, second)
print("broken off", broken)
"""


@pytest.mark.parametrize("method", ["nerf_hash", "neus_hash"])
def test_a_picture_that_is_broken_off_anywhere_can_be_made_again(method):
    run = subprocess.run([sys.executable, "-c", SCRIPT, method], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    assert int(run.stdout.split()[-1]) > 20
