#!/usr/bin/env python3
"""Trains methods side by side on this machine and prints a table: rays/s, held-out PSNR over time, time of a view, ms a step.

Each method is nerfstudio's own configuration, trained for the same wall-clock seconds in this process, one after the other. The
clock counts training steps (with the data manager and grid updates), not evaluation; rays/s are those since the checkpoint before.

    python scripts/bench_train.py --data data/lego_200 --seconds 120 --methods vanilla-nerf-custom vanilla-nerf nerfacto
"""

from __future__ import annotations

import copy
import random
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from nerfstudio.engine.callbacks import TrainingCallbackLocation
from rich.console import Console
from rich.table import Table

warnings.filterwarnings("ignore")
console = Console(width=140)


@dataclass
class Options:
    """Side-by-side training."""

    data: Path | None = None
    """Folder of the dataset; not needed for demo-data."""
    dataparser: str = "blender-data"
    """Name of nerfstudio's dataparser, for example blender-data, llff-data, demo-data."""
    dataparser_options: tuple[str, ...] = ()
    """Options of the dataparser: resolution=100"""
    methods: tuple[str, ...] = ("vanilla-nerf-custom", "vanilla-nerf")
    """Names of nerfstudio's methods."""
    seconds: float = 60.0
    """Training time of each method."""
    peer_seconds: float | None = None
    """Training time of the methods after the first, if another."""
    checkpoints: tuple[float, ...] = ()
    """Seconds after which to evaluate too, besides the end."""
    eval_images: int = 25
    """Held-out images to evaluate, evenly spread over the split; 0 for none (speed only)."""
    seed: int = 42
    """Seed of each method's run."""
    set: tuple[str, ...] = ()
    """Options for the first method, as pipeline paths: model.field.precision=fp32"""
    pictures: Path | None = None
    """Folder for a picture of the first evaluated view at the end (held-out image beside the render)."""


@dataclass
class Result:
    """What one method did."""

    method: str
    rows: list[dict[str, float]] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    rays: int = 0
    seconds: float = 0.0


def make_trainer(options: Options, method: str, overrides: tuple[str, ...]) -> Any:
    """nerfstudio's trainer for a method, without viewer."""
    from nerfstudio.configs.dataparser_configs import dataparsers
    from nerfstudio.configs.method_configs import all_methods
    from nerfstudio.plugins.registry_dataparser import discover_dataparsers

    config = copy.deepcopy(all_methods[method])
    parsers = {**dataparsers, **discover_dataparsers()[0]}
    config.pipeline.datamanager.dataparser = copy.deepcopy(parsers[options.dataparser])
    config.pipeline.datamanager.data = options.data
    for override in options.dataparser_options:
        set_option(config.pipeline.datamanager.dataparser, override)
    config.machine.device_type = "cuda" if torch.cuda.is_available() else "cpu"
    config.vis = "tensorboard"
    config.output_dir = Path(tempfile.mkdtemp(prefix="bench_train_"))
    config.timestamp = method
    for override in overrides:
        set_option(config.pipeline, override)
    random.seed(options.seed)
    np.random.seed(options.seed)  # noqa: NPY002  (nerfstudio's own seeding)
    torch.manual_seed(options.seed)
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    return trainer


def allow_missing_lpips() -> None:
    """nerfstudio's methods load LPIPS weights when they are built, and stop where there is no network; speed and PSNR need none."""
    from torchmetrics.image import lpip

    try:
        lpip.LearnedPerceptualImagePatchSimilarity(normalize=True)
    except Exception:  # whatever the download raises
        console.print("no LPIPS weights: nerfstudio's methods run without it")
        lpip.LearnedPerceptualImagePatchSimilarity = lambda **_: torch.nn.Identity()  # type: ignore[assignment,misc]


def set_option(root: Any, override: str) -> None:
    """Sets ``a.b.c=value`` in nested configs, with the type of the present value."""
    path, value = override.split("=", 1)
    *parents, name = path.split(".")
    for parent in parents:
        root = getattr(root, parent)
    setattr(root, name, value if isinstance(getattr(root, name), str) else eval(value))


def synchronize() -> None:
    """Waits for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def train(options: Options, method: str, overrides: tuple[str, ...] = ()) -> Result:
    """Trains one method for the budget and evaluates it at the checkpoints and at the end."""
    trainer = make_trainer(options, method, overrides)
    pipeline, result = trainer.pipeline, Result(method)
    is_first = method == options.methods[0]
    end = options.seconds if is_first or options.peer_seconds is None else options.peer_seconds
    marks = sorted({*[s for s in options.checkpoints if s < end], end})
    last_seconds, last_rays = 0.0, 0
    while marks:
        result.seconds += train_step(trainer, result)
        if result.seconds >= marks[0]:
            marks = [mark for mark in marks if mark > result.seconds]
            recent = (result.rays - last_rays) / (result.seconds - last_seconds)
            last_seconds, last_rays = result.seconds, result.rays
            row = {"seconds": result.seconds, "steps": result.steps, "rays_per_s": recent}
            if options.eval_images:
                row |= evaluate(pipeline, options, None if marks else options.pictures, method)
            result.rows.append(row)
            console.print(f"[bold]{method}[/bold] " + "  ".join(f"{k} {v:.4g}" for k, v in row.items()))
    return result


def train_step(trainer: Any, result: Result) -> float:
    """One step as nerfstudio's trainer takes it, timed by part; returns its seconds."""
    pipeline, step = trainer.pipeline, result.steps
    clock = [time.perf_counter()]

    def lap(part: str) -> None:
        synchronize()
        clock.append(time.perf_counter())
        result.parts[part] = result.parts.get(part, 0.0) + clock[-1] - clock[-2]

    pipeline.train()
    run_callbacks(trainer, step, TrainingCallbackLocation.BEFORE_TRAIN_ITERATION)
    lap("callbacks before")
    next_train = pipeline.datamanager.next_train

    def counted_next_train(step: int) -> Any:
        start = time.perf_counter()
        ray_bundle, batch = next_train(step)
        result.rays += len(ray_bundle)
        result.parts["data"] = result.parts.get("data", 0.0) + time.perf_counter() - start
        return ray_bundle, batch

    pipeline.datamanager.next_train = counted_next_train
    try:
        trainer.train_iteration(step)
    finally:
        pipeline.datamanager.next_train = next_train
    lap("iteration, with data")
    run_callbacks(trainer, step, TrainingCallbackLocation.AFTER_TRAIN_ITERATION)
    lap("callbacks after")
    result.steps += 1
    return clock[-1] - clock[0]


def run_callbacks(trainer: Any, step: int, location: Any) -> None:
    """The callbacks of one place in the training loop."""
    for callback in trainer.callbacks:
        callback.run_callback_at_location(step, location)


@torch.no_grad()
def evaluate(pipeline: Any, options: Options, pictures: Path | None, method: str) -> dict[str, float]:
    """Mean PSNR of held-out images and seconds a view."""
    pipeline.eval()
    loader = pipeline.datamanager.fixed_indices_eval_dataloader
    chosen = set(np.linspace(0, len(loader) - 1, min(options.eval_images, len(loader))).round().astype(int))
    psnrs, seconds = [], []
    for i, (camera, batch) in enumerate(loader):
        if i not in chosen:
            continue
        start = time.perf_counter()
        outputs = pipeline.model.get_outputs_for_camera(camera)
        synchronize()
        seconds.append(time.perf_counter() - start)
        rgb = outputs["rgb"] if "rgb" in outputs else outputs["rgb_fine"]
        image = batch["image"][..., :3].to(rgb.device)
        psnrs.append(float(-10 * torch.log10(torch.mean((image - rgb) ** 2))))
        if pictures is not None and i == min(chosen):
            save_picture(pictures / f"{method}.png", torch.cat([image, rgb], dim=1))
    pipeline.train()
    return {"psnr": float(np.mean(psnrs)), "s_per_view": float(np.median(seconds))}


def save_picture(path: Path, image: torch.Tensor) -> None:
    """Writes an (h, w, 3) image in [0, 1]."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((image.clamp(0, 1) * 255).byte().cpu().numpy()).save(path)


def print_tables(results: list[Result]) -> None:
    """Markdown tables, for docs/benchmarks.md."""
    base = results[-1].rows[-1]["rays_per_s"]
    table = Table(title="at the end", title_justify="left")
    for name in ("method", "train s", "steps", "rays/s", f"x {results[-1].method}", "PSNR", "s/view"):
        table.add_column(name)
    for result in results:
        row = result.rows[-1]
        table.add_row(
            result.method,
            f"{row['seconds']:.0f}",
            f"{row['steps']:.0f}",
            f"{row['rays_per_s']:.0f}",
            f"{row['rays_per_s'] / base:.1f}",
            f"{row.get('psnr', float('nan')):.2f}",
            f"{row.get('s_per_view', float('nan')):.2f}",
        )
    console.print(table)
    for result in results:
        parts = ", ".join(f"{k} {v / result.steps * 1e3:.1f}" for k, v in result.parts.items())
        console.print(f"{result.method}, ms a step: {parts}")


if __name__ == "__main__":
    options = tyro.cli(Options, description=__doc__)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    allow_missing_lpips()
    console.print(f"{device}, torch {torch.__version__}, seed {options.seed}")
    print_tables([train(options, name, options.set if i == 0 else ()) for i, name in enumerate(options.methods)])
