"""The scripts in examples/, as processes."""

import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
import yaml
from nerfstudio.configs.method_configs import all_methods
from PIL import Image

from nerf_plugins.dataparsers.demo import DemoDataParserConfig

EXAMPLES = Path(__file__).parents[1] / "examples"


def call(name: str, *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def run(name: str, *arguments) -> str:
    """What a script prints."""
    answer = call(name, *arguments)
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout


def halves(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two square pictures side by side."""
    picture = np.asarray(Image.open(path)) / 255.0
    assert picture.shape[1] == 2 * picture.shape[0]
    return picture[:, : len(picture)], picture[:, len(picture) :]


def test_every_example_is_tested():
    tested = re.findall(r'run\("(\w+\.py)"', Path(__file__).read_text(encoding="utf-8"))
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(tested)


def test_march_and_composite(tmp_path):
    path = tmp_path / "ball.png"
    out = run("march_and_composite.py", "--output-path", path, "--side", 32)
    first, last = map(float, re.findall(r"\d\.\d\de-\d\d", out))
    assert last < 0.02 * first
    target, learned = halves(path)
    np.testing.assert_array_equal(target[0, 0], 1.0)  # beside the ball: the background
    assert target[16, 24, 0] > target[16, 8, 0] + 0.3  # red to the right
    assert np.abs(target - learned).mean() < 0.02
    again = call("march_and_composite.py", "--output-path", path)
    assert again.returncode == 1
    assert "ball.png exists and is not overwritten" in again.stderr


def test_train_a_field(tmp_path):
    path = tmp_path / "demo.png"
    run("train_a_field.py", "--output-path", path, "--side", 24, "--n-views", 10, "--steps", 100)
    truth, rendered = halves(path)
    assert 0.3 < (truth < 1.0).any(axis=-1).mean() < 0.8
    one_color = np.mean((truth - truth.mean(axis=(0, 1))) ** 2)
    assert np.mean((truth - rendered) ** 2) < one_color / 3.0


@pytest.mark.usefixtures("without_type_checker")  # nerfstudio declares a device's name and hands a torch.device over
def test_mesh_from_checkpoint(tmp_path):
    """An untrained NeuS is a ball."""
    config = deepcopy(all_methods["neus-hash-custom"])
    config.output_dir, config.experiment_name, config.timestamp = tmp_path, "e", "t"
    config.pipeline.datamanager.dataparser = DemoDataParserConfig(tmp_path / "data", resolution=16, num_train=2)
    pipeline = config.pipeline.setup(device="cpu", test_mode="inference")
    config.get_checkpoint_dir().mkdir(parents=True)
    torch.save({"pipeline": pipeline.state_dict(), "step": 7}, config.get_checkpoint_dir() / "step-000000007.ckpt")
    load_config = config.get_base_dir() / "config.yml"
    load_config.write_text(yaml.dump(config))
    path = tmp_path / "mesh.ply"
    out = run("mesh_from_checkpoint.py", "--load-config", load_config, "--output-path", path, "--resolution", 24)
    assert "step 7" in out
    mesh = trimesh.load(path, process=False)
    radii = np.linalg.norm(mesh.vertices, axis=1)
    assert radii.min() > 0.3
    assert radii.max() < 0.9
    assert mesh.is_watertight
