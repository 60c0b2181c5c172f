#!/usr/bin/env python3
"""Trains a method as ns-train does and times its steps without waiting for the device, or times pictures of what was trained.

    python scripts/bench_steps.py train nerf-hash-custom --seconds 60 --output-dir results
    python scripts/bench_steps.py views nerf-hash-custom --output-dir results

Results are appended as they come, so that a run that is cut short leaves what it had: METHOD/steps.jsonl, METHOD/views.jsonl.
"""

from __future__ import annotations

import copy
import json
import statistics
import time
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from check_steps import our_methods
from nerfstudio.engine.callbacks import TrainingCallbackLocation
from nerfstudio.utils.eval_utils import eval_setup

from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.engine.memory import peak_mib
from nerf_plugins.engine.presets import default_device
from nerf_plugins.models.metrics import psnr

warnings.filterwarnings("ignore")


@dataclass
class Options:
    """Steps and pictures of one method on demo-data."""

    stage: Annotated[Literal["train", "views"], tyro.conf.Positional]
    """What to time."""
    method: Annotated[str, tyro.conf.Positional]
    """A method of this package."""
    output_dir: Path = Path("outputs/bench_gpu")
    """Where results, configuration and checkpoint go."""
    seconds: float = 60.0
    """Of training."""
    resolution: int = 400
    """Of the demo's images."""
    views: int = 5
    """Held-out images that are rendered."""
    report_every: int = 100
    """Steps that share a line of results."""


class Clock:
    """Marks that are read later: on CUDA events in the device's queue, elsewhere the time."""

    def __init__(self, device: str) -> None:
        self.on_cuda = device.startswith("cuda")
        self.marks: list[Any] = []

    def mark(self) -> None:
        """Notes the moment at which all work so far is done."""
        if self.on_cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks.append(event)
        else:
            self.marks.append(time.perf_counter())

    def take_intervals(self, wait: bool) -> list[float]:
        """Milliseconds between the marks that have been reached; these are forgotten, but the last.

        Args:
            wait: for all of them.
        """
        if self.on_cuda and wait:
            torch.cuda.synchronize()
        n = sum(mark.query() for mark in self.marks) if self.on_cuda else len(self.marks)
        reached, self.marks = self.marks[:n], self.marks[max(n - 1, 0) :]
        pairs = pairwise(reached)
        return [a.elapsed_time(b) if self.on_cuda else 1e3 * (b - a) for a, b in pairs]


def append(path: Path, row: dict[str, Any]) -> None:
    """Adds a line to a file of results, and shows it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(path.stem, json.dumps(row), flush=True)


def make_trainer(options: Options) -> Any:
    """nerfstudio's trainer of the method, without viewer."""
    config: Any = copy.deepcopy(our_methods()[options.method].config)
    config.pipeline.datamanager.dataparser = DemoDataParserConfig(
        data=options.output_dir / "demo", resolution=options.resolution
    )
    config.machine.device_type, config.vis = default_device(), "tensorboard"
    config.output_dir, config.experiment_name = options.output_dir, "run"
    config.timestamp = time.strftime("%Y-%m-%d_%H%M%S")
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    return trainer


def train(options: Options) -> None:
    """Trains for the seconds given, and leaves a checkpoint."""
    trainer = make_trainer(options)
    clock, path = Clock(trainer.device), options.output_dir / options.method / "steps.jsonl"
    host: list[float] = []
    rays = step = 0
    began = time.perf_counter()

    def report(wait: bool) -> None:
        nonlocal rays
        device_ms = clock.take_intervals(wait)
        row = {
            "step": step,
            "seconds": round(time.perf_counter() - began, 2),
            "ms_a_step": round(statistics.median(device_ms), 3) if device_ms else None,
            "host_ms_a_step": round(1e3 * statistics.median(host), 3),
            "rays_a_step": rays / len(host),
            "peak_mib": round(peak_mib(torch.device(trainer.device))),
        }
        append(path, row)
        host.clear()
        rays = 0

    clock.mark()
    while time.perf_counter() - began < options.seconds:
        start = time.perf_counter()
        trainer.step = step
        trainer.pipeline.train()
        for callback in trainer.callbacks:
            callback.run_callback_at_location(step, TrainingCallbackLocation.BEFORE_TRAIN_ITERATION)
        trainer.train_iteration(step)
        for callback in trainer.callbacks:
            callback.run_callback_at_location(step, TrainingCallbackLocation.AFTER_TRAIN_ITERATION)
        clock.mark()
        host.append(time.perf_counter() - start)
        rays += trainer.pipeline.datamanager.get_train_rays_per_batch()
        step += 1
        if step % options.report_every == 0:
            report(wait=False)
    if host:
        report(wait=True)
    trainer.save_checkpoint(step)


@torch.no_grad()
def views(options: Options) -> None:
    """Renders held-out images with the newest checkpoint; the first is rendered twice, since it compiles."""
    configs = sorted((options.output_dir / "run" / options.method).glob("*/config.yml"))
    if not configs:
        raise SystemExit(f"{options.output_dir}: nothing was trained with {options.method}: run the stage train first")
    pipeline: Any = eval_setup(configs[-1], test_mode="val")[1]
    path = options.output_dir / options.method / "views.jsonl"
    loader = pipeline.datamanager.fixed_indices_eval_dataloader
    for i, (camera, batch) in enumerate(loader):
        if i >= options.views:
            break
        for is_warm in (False, True) if i == 0 else (True,):
            clock = Clock(str(pipeline.device))
            clock.mark()
            rgb = pipeline.model.get_outputs_for_camera(camera)["rgb"]
            clock.mark()
            (ms,) = clock.take_intervals(wait=True)
            image = batch["image"][..., :3].to(rgb.device)
            row = {"view": i, "warm": is_warm, "ms": round(ms, 2), "psnr": round(float(psnr(image, rgb)), 2)}
            append(path, row)


if __name__ == "__main__":
    chosen = tyro.cli(Options)
    (train if chosen.stage == "train" else views)(chosen)
