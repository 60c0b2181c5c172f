"""nerfstudio's own commands, as processes, on a tiny version of the demo scene."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import trimesh

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
    return train_method(workspace, "vanilla-nerf-custom", timestamp, *TINY_MODEL, *options)


def train_method(workspace: Path, method: str, timestamp: str, *options: str) -> subprocess.CompletedProcess:
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
    return run(workspace, "ns-train", method, "--vis=tensorboard", *place, *options, *data)


def run_folder(workspace: Path, timestamp: str, method: str = "vanilla-nerf-custom") -> Path:
    return workspace / "out" / "e" / method / timestamp


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


SMALL_HASH = ["--pipeline.model.field.encoding.n-levels=4", "--pipeline.model.field.encoding.log2-table-size=12"]
SMALL_MLP = [
    "--pipeline.model.field.D=3",
    "--pipeline.model.field.W=64",
    "--pipeline.model.field.skips=2",
    "--pipeline.model.sampler=upsampling",
]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("nerf-hash-custom", SMALL_HASH),
        ("neus-hash-custom", SMALL_HASH),
        ("neus-custom", SMALL_MLP),
    ],
    ids=["nerf-hash", "neus-hash", "neus"],
)
def test_the_other_methods_train_and_evaluate(workspace: Path, method: str, options: list[str]):
    result = train_method(workspace, method, "tiny", "--max-num-iterations=20", *options)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    config = str(run_folder(workspace, "tiny", method) / "config.yml")
    result = run(workspace, "ns-eval", "--load-config", config, "--output-path", f"{method}.json")
    assert result.returncode == 0, result.stderr[-3000:]
    assert json.loads((workspace / f"{method}.json").read_text())["results"]["psnr"] > 5


def test_a_mesh_of_a_checkpoint_in_the_inputs_units(workspace: Path):
    method = "neus-hash-custom"
    folder = run_folder(workspace, "tiny", method)
    if not folder.exists():
        assert train_method(workspace, method, "tiny", "--max-num-iterations=20", *SMALL_HASH).returncode == 0
    arguments = ["mesh", "--load-config", str(folder / "config.yml"), "--resolution=32", "--formats", "ply"]
    result = run(workspace, "nerf-plugins", *arguments)
    assert result.returncode == 0, result.stderr[-3000:]
    mesh = trimesh.load_mesh(folder / "mesh" / "mesh.ply")
    # After so few steps it is still about the sphere that the field starts as.
    radii = mesh.vertices.__array__() ** 2
    assert 0.2 < float(radii.sum(axis=1).mean() ** 0.5) < 0.9
    again = run(workspace, "nerf-plugins", *arguments)
    assert again.returncode != 0
    assert "exists and is not overwritten" in again.stderr


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
