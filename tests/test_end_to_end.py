"""nerfstudio's own commands, as processes, on a tiny version of the demo scene."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

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


def train_method(
    workspace: Path, method: str, timestamp: str, *options: str, views: int = 8
) -> subprocess.CompletedProcess:
    folder = workspace / f"demo_{views}"
    data = [
        "demo-data",
        "--data",
        str(folder),
        "--resolution=32",
        f"--num-train={views}",
        "--num-val=1",
        "--num-test=2",
    ]
    folder.mkdir(exist_ok=True)
    place = ["--output-dir", str(workspace / "out"), "--experiment-name", "e", "--timestamp", timestamp]
    return run(workspace, "ns-train", method, "--vis=tensorboard", *place, *options, *data)


def run_folder(workspace: Path, timestamp: str, method: str = "vanilla-nerf-custom") -> Path:
    return workspace / "out" / "e" / method / timestamp


def psnr(truth: np.ndarray, pictures: np.ndarray) -> float:
    """Mean over views (n, h, w, 3)."""
    return float(-10.0 * np.log10(np.mean((truth - pictures) ** 2, axis=(1, 2, 3))).mean())


def evaluate(workspace: Path, run_folder: Path) -> tuple[subprocess.CompletedProcess, dict, float]:
    """What ns-eval prints and finds, and the PSNR of the one colour that is the held-out views' best; what it finds is that of its
    pictures."""
    name = run_folder.parent.name
    options = ["--output-path", f"{name}.json", "--render-output-path", f"{name}_views"]
    result = run(workspace, "ns-eval", "--load-config", str(run_folder / "config.yml"), *options)
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads((workspace / f"{name}.json").read_text())["results"]
    paths = sorted((workspace / f"{name}_views").glob("*_img_*.png"))
    truth, rendered = np.split(np.stack([np.asarray(Image.open(path)) / 255.0 for path in paths]), 2, axis=2)
    assert truth.shape == (2, 32, 32, 3)
    assert found["psnr"] == pytest.approx(psnr(truth, rendered), abs=0.05)
    return result, found, psnr(truth, truth.mean(axis=(0, 1, 2)))


@pytest.fixture(scope="module")
def trained(workspace: Path) -> Path:
    fast = ["--optimizers.fields.optimizer.lr=1e-2", "--optimizers.fields.scheduler.warmup-steps=1"]
    result = train(workspace, "first", "--max-num-iterations=40", "--steps-per-save=20", *fast)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return run_folder(workspace, "first")


def test_training_leaves_a_checkpoint_of_plain_tensors_and_numbers(trained: Path):
    assert [path.name for path in (trained / "nerfstudio_models").iterdir()] == ["step-000000039.ckpt"]
    state = torch.load(trained / "nerfstudio_models" / "step-000000039.ckpt", weights_only=True)
    assert "_model.sampler.march.grid.occupied" in state["pipeline"]


def test_evaluation(workspace: Path, trained: Path):
    result, found, psnr_of_one_color = evaluate(workspace, trained)
    assert found["psnr"] > psnr_of_one_color + 0.3
    assert "ssim" in found
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
SMALL_NEUS_HASH = [
    *SMALL_HASH,
    "--pipeline.model.surface.grid.resolution=16",
    "--pipeline.model.surface.steps-per-diagonal=64",
    "--max-num-iterations=120",
]
SMALL_MLP = [
    "--pipeline.model.field.D=3",
    "--pipeline.model.field.W=64",
    "--pipeline.model.field.skips=2",
    "--pipeline.model.sampler=upsampling",
    "--pipeline.datamanager.train-num-rays-per-batch=64",
]


@pytest.mark.parametrize(
    ("method", "options", "gain"),
    [
        ("nerf-hash-custom", [*SMALL_HASH, *TINY_MODEL[3:], "--max-num-iterations=150"], 3.0),
        ("neus-hash-custom", SMALL_NEUS_HASH, 3.0),
        ("neus-custom", [*SMALL_MLP, "--max-num-iterations=60"], 0.5),
    ],
    ids=["nerf-hash", "neus-hash", "neus"],
)
def test_the_other_methods_learn_what_held_out_views_show(
    workspace: Path, method: str, options: list[str], gain: float
):
    """``gain``: dB beyond a picture of one colour; all begin below 0.7."""
    result = train_method(workspace, method, "tiny", *options, views=40)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    _, found, psnr_of_one_color = evaluate(workspace, run_folder(workspace, "tiny", method))
    assert found["psnr"] > psnr_of_one_color + gain


def test_a_mesh_of_a_checkpoint_in_the_inputs_units(workspace: Path):
    method = "neus-hash-custom"
    folder = run_folder(workspace, "tiny", method)
    if not folder.exists():
        assert train_method(workspace, method, "tiny", *SMALL_NEUS_HASH, views=40).returncode == 0
    arguments = ["mesh", "--load-config", str(folder / "config.yml"), "--resolution=32", "--formats", "ply"]
    result = run(workspace, "nerf-plugins", *arguments)
    assert result.returncode == 0, result.stderr[-3000:]
    mesh = trimesh.load_mesh(folder / "mesh" / "mesh.ply")
    # After so few steps it is still about as large as the sphere that the field starts as.
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
