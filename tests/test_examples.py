"""The scripts in examples/, as processes."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, *arguments) -> str:
    """What a script prints."""
    command = [sys.executable, "-W", "ignore", str(EXAMPLES / name), *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout


def test_march_and_composite(tmp_path):
    path = tmp_path / "ball.png"
    out = run("march_and_composite.py", "--output-path", path, "--side", 32)
    first, last = map(float, re.findall(r"\d\.\d\de-\d\d", out))
    assert last < 0.02 * first
    picture = np.asarray(Image.open(path)) / 255.0
    assert picture.shape == (32, 64, 3)
    target, learned = picture[:, :32], picture[:, 32:]
    np.testing.assert_array_equal(target[0, 0], 1.0)  # beside the ball: the background
    assert target[16, 24, 0] > target[16, 8, 0] + 0.3  # red to the right
    assert np.abs(target - learned).mean() < 0.02
