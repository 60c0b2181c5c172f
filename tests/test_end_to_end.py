"""nerfstudio's own commands, as processes, on a tiny version of the demo scene."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BIN = Path(sys.executable).parent
TINY_MODEL = [
    "--pipeline.model.field.D=2",
    "--pipeline.model.field.W=32",
    "--pipeline.model.field.skips",  # none
    "--pipeline.model.occupancy.grid.resolution=16",
    "--pipeline.model.occupancy.grid.warmup-steps=16",
    "--pipeline.model.occupancy.steps-per-diagonal=64",
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("end_to_end")


def run(workspace: Path, command: str, *arguments: str) -> subprocess.CompletedProcess:
    """A command without a network (LPIPS would fetch weights) and with the caches of the workspace."""
    nowhere = "http://127.0.0.1:9"
    environment = {
        **os.environ,
        "TORCH_HOME": str(workspace / "torch"),
        "http_proxy": nowhere,
        "https_proxy": nowhere,
        "PYTHONWARNINGS": "ignore",
    }
    return subprocess.run(
        [str(BIN / command), *arguments], cwd=workspace, env=environment, capture_output=True, text=True, timeout=300
    )


def train(workspace: Path, timestamp: str, *options: str) -> subprocess.CompletedProcess:
    data = [
        "demo-data",
        "--data",
        str(workspace / "demo"),
        "--resolution=32",
        "--num-train=8",
        "--num-val=1",
        "--num-test=2",
    ]
    (workspace / "demo").mkdir(exist_ok=True)
    place = ["--output-dir", str(workspace / "out"), "--experiment-name", "e", "--timestamp", timestamp]
    return run(workspace, "ns-train", "vanilla-nerf-custom", "--vis=tensorboard", *place, *TINY_MODEL, *options, *data)


def run_folder(workspace: Path, timestamp: str) -> Path:
    return workspace / "out" / "e" / "vanilla-nerf-custom" / timestamp


@pytest.fixture(scope="module")
def trained(workspace: Path) -> Path:
    result = train(workspace, "first", "--max-num-iterations=40", "--steps-per-save=20")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return run_folder(workspace, "first")


def test_training_leaves_a_checkpoint_of_plain_tensors_and_numbers(trained: Path):
    assert [path.name for path in (trained / "nerfstudio_models").iterdir()] == ["step-000000039.ckpt"]
    state = torch.load(trained / "nerfstudio_models" / "step-000000039.ckpt", weights_only=True)
    assert "_model.sampler.grid.occupied" in state["pipeline"]


def test_evaluation(workspace: Path, trained: Path):
    result = run(workspace, "ns-eval", "--load-config", str(trained / "config.yml"), "--output-path", "eval.json")
    assert result.returncode == 0, result.stderr[-3000:]
    results = json.loads((workspace / "eval.json").read_text())["results"]
    assert results["psnr"] > 5
    assert "ssim" in results
    assert "LPIPS is left out" in " ".join(result.stdout.split())


def test_rendering_held_out_views_and_a_video(workspace: Path, trained: Path):
    arguments = ["--load-config", str(trained / "config.yml"), "--output-path"]
    result = run(workspace, "ns-render", "dataset", *arguments, "renders", "--split=train+test")
    assert result.returncode == 0, result.stderr[-3000:]
    assert len(list((workspace / "renders" / "test" / "rgb").iterdir())) == 2
    assert len(list((workspace / "renders" / "train" / "gt-rgb").iterdir())) == 8
    result = run(workspace, "ns-render", "interpolate", *arguments, "video.mp4", "--interpolation-steps=2")
    assert result.returncode == 0, result.stderr[-3000:]
    assert (workspace / "video.mp4").stat().st_size > 500


def test_resuming_goes_on_after_the_checkpoint_and_keeps_the_first_run(workspace: Path, trained: Path):
    before = (trained / "nerfstudio_models" / "step-000000039.ckpt").read_bytes()
    result = train(workspace, "second", "--max-num-iterations=5", f"--load-dir={trained / 'nerfstudio_models'}")
    assert result.returncode == 0, result.stderr[-3000:]
    names = [path.name for path in (run_folder(workspace, "second") / "nerfstudio_models").iterdir()]
    assert names == ["step-000000044.ckpt"]
    assert (trained / "nerfstudio_models" / "step-000000039.ckpt").read_bytes() == before


def test_another_architecture_is_refused_in_one_line(workspace: Path, trained: Path):
    options = ["--pipeline.model.field.W=16", f"--load-dir={trained / 'nerfstudio_models'}"]
    result = train(workspace, "third", "--max-num-iterations=5", *options)
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("nerf-plugins: the checkpoint's field.")
    assert "Traceback" not in result.stderr


def test_a_missing_folder_is_one_line(workspace: Path):
    result = run(workspace, "ns-train", "vanilla-nerf-custom", "--data", "nowhere", "blender-data")
    assert result.returncode != 0
    assert "nerf-plugins: --data nowhere does not exist" in result.stderr
    assert "Traceback" not in result.stderr
