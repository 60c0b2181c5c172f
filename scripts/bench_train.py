#!/usr/bin/env python3
"""Trains methods side by side on this machine and reports what each reached, and when.

Each method is nerfstudio's own configuration, trained for the same wall-clock seconds, one after the other, each in a process of its own.
The clock counts training steps (with the data manager and grid updates), not evaluation; rates are those since the checkpoint before.

    python scripts/bench_train.py --data data/lego_200 --seconds 120 --methods nerf-hash-custom vanilla-nerf nerfacto
    python scripts/bench_train.py --recipe configs/demo.yaml --output-dir results

A method may carry options, as paths of its pipeline: nerf-hash-custom+model.occupancy.marcher=nerfacc
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import random
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from bench_report import Result, device_name, report
from nerfstudio.engine.callbacks import TrainingCallbackLocation
from rich.console import Console

from nerf_plugins.errors import InputError
from nerf_plugins.files.writing import check_free
from nerf_plugins.sweep.recipe import SHARED_KEYS, Recipe, count, list_of, read_keys, seconds

console = Console(width=160)


@dataclass(frozen=True, kw_only=True)
class Options(Recipe):
    """Side-by-side training."""

    recipe: Path | None = None
    """YAML file with values for the options below; those on the command line win. See configs/."""
    data: Path | None = None
    """Folder of the dataset; not needed for demo-data."""
    dataparser: str | None = "blender-data"
    """Name of nerfstudio's dataparser, for example blender-data, llff-data, neus-data, demo-data."""
    dataparser_options: tuple[str, ...] = ()
    """Options of the dataparser: resolution=100"""
    methods: tuple[str, ...] = ("nerf-hash-custom", "vanilla-nerf-custom", "vanilla-nerf")
    """nerfstudio's methods, with options: nerf-hash-custom+model.near_plane=0.1"""
    options: tyro.conf.Suppress[dict[str, Any]] = field(default_factory=dict)
    """Of a recipe: options of all methods, as ns-train's."""
    seconds: float = 60.0
    """Training time of each method."""
    peer_seconds: float | None = None
    """Training time of the methods that are not of this package, if another."""
    checkpoints: tuple[float, ...] = ()
    """Seconds after which to evaluate too, besides the end."""
    eval_images: int = 5
    """Held-out images to evaluate, evenly spread over the split; 0 for none (speed only)."""
    seed: int = 42
    """Seed of each method's run."""
    output_dir: Path | None = None
    """Folder for results.csv, results.md, psnr.png and a picture of each method (held-out image beside the render); must not exist."""
    smoke: bool = False
    """A few steps on a tiny demo scene: does everything run?"""


RECIPE_KEYS = {
    "seconds": seconds,
    "peer_seconds": seconds,
    "checkpoints": list_of(seconds),
    "eval_images": count(0),
}
"""What a recipe may have besides the keys that it shares with those of sweeps."""
TINY_SCENE = ("resolution=16", "num_train=4", "num_val=1", "num_test=2")
"""Options of demo-data."""


def parse_options(arguments: list[str]) -> Options:
    """The command line's options, over those of a recipe.

    Raises:
        SystemExit: an option is wrong.
        InputError: so is the recipe.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--recipe", type=Path)
    recipe = parser.parse_known_args(arguments)[0].recipe
    default = Options() if recipe is None else read_recipe(recipe)
    options = tyro.cli(Options, description=__doc__, default=default, args=arguments)
    if options.output_dir is not None:
        check_free(options.output_dir, "--output-dir")
    if options.smoke:
        options = dataclasses.replace(
            options,
            dataparser="demo-data",
            dataparser_options=TINY_SCENE,
            data=None,
            seconds=1.0,
            checkpoints=(),
            eval_images=1,
        )
    return options


def read_recipe(path: Path) -> Options:
    """The options of a YAML file, in the language of `nerf-plugins sweep`.

    Raises:
        InputError: it cannot be read, names an unknown key, or has a value of the wrong kind.
    """
    return Options(**read_keys(path, SHARED_KEYS | RECIPE_KEYS))


def make_trainer(options: Options, method: str) -> Any:
    """nerfstudio's trainer for a method, without viewer."""
    from nerf_plugins.sweep.planned_runs import method_config

    config = method_config(options, method)
    config.machine.device_type = "cuda" if torch.cuda.is_available() else "cpu"
    config.output_dir = Path(tempfile.mkdtemp(prefix="bench_train_"))
    config.timestamp = method.split("+")[0]
    random.seed(options.seed)
    np.random.seed(options.seed)  # noqa: NPY002  (nerfstudio's own seeding)
    torch.manual_seed(options.seed)
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    return trainer


def allow_missing_lpips() -> None:
    """nerfstudio's methods load LPIPS weights when they are built, and stop where there is no network; speed and PSNR need none."""
    from torchmetrics.image import lpip

    from nerf_plugins.models.metrics import lpips_model

    if lpips_model() is None:
        lpip.LearnedPerceptualImagePatchSimilarity = lambda **_: torch.nn.Identity()  # type: ignore[assignment,misc]


def synchronize() -> None:
    """Waits for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Run:
    """One method's training: counts what passes through it."""

    def __init__(self, options: Options, method: str) -> None:
        self.options, self.method = options, method
        self.trainer = make_trainer(options, method)
        self.pipeline = self.trainer.pipeline
        self.result = Result(method)
        self.steps, self.rays, self.seconds = 0, 0, 0.0
        self.samples: torch.Tensor | float = float("nan")
        self._count_rays()
        self._count_samples()

    def _count_rays(self) -> None:
        next_train = self.pipeline.datamanager.next_train

        def counted(step: int) -> Any:
            start = time.perf_counter()
            ray_bundle, batch = next_train(step)
            self.rays += len(ray_bundle)
            self.result.parts["data"] = self.result.parts.get("data", 0.0) + time.perf_counter() - start
            return ray_bundle, batch

        self.pipeline.datamanager.next_train = counted

    def _count_samples(self) -> None:
        """Where the model says how many samples its rays have; the sum stays on the device."""
        get_outputs = self.pipeline.model.get_outputs

        def counted(ray_bundle: Any) -> Any:
            outputs = get_outputs(ray_bundle)
            if "n_samples" in outputs:
                n = outputs["n_samples"].sum()
                self.samples = n if isinstance(self.samples, float) else self.samples + n
            return outputs

        self.pipeline.model.get_outputs = counted

    def train(self, seconds: float) -> Result:
        """Trains for the budget and evaluates at the checkpoints and at the end."""
        marks = sorted({*[s for s in self.options.checkpoints if s < seconds], seconds})
        before = (0.0, 0, 0.0)
        while marks:
            self.step()
            if self.seconds >= marks[0]:
                marks = [mark for mark in marks if mark > self.seconds]
                before = self.checkpoint(before, is_last=not marks)
        return self.result

    def checkpoint(self, before: tuple[float, int, float], is_last: bool) -> tuple[float, int, float]:
        """Adds a row: the rates since the row before, and how good the held-out images are."""
        now = (self.seconds, self.rays, float(self.samples))
        elapsed = now[0] - before[0]
        row = {
            "seconds": self.seconds,
            "steps": self.steps,
            "rays_per_s": (now[1] - before[1]) / elapsed,
            "samples_per_s": (now[2] - (before[2] if before[1] else 0.0)) / elapsed,
            "peak_gib": peak_gib(),
        }
        if self.options.eval_images:
            row |= evaluate(self.pipeline, self.options, self.method if is_last else None)
        self.result.rows.append(row)
        console.print(f"[bold]{self.method}[/bold] " + "  ".join(f"{k} {v:.4g}" for k, v in row.items()))
        return now

    def step(self) -> None:
        """One step as nerfstudio's trainer takes it, timed by part."""
        clock = [time.perf_counter()]

        def lap(part: str) -> None:
            synchronize()
            clock.append(time.perf_counter())
            self.result.parts[part] = self.result.parts.get(part, 0.0) + clock[-1] - clock[-2]

        self.pipeline.train()
        self._run_callbacks(TrainingCallbackLocation.BEFORE_TRAIN_ITERATION)
        lap("callbacks before")
        self.trainer.train_iteration(self.steps)
        lap("iteration, with data")
        self._run_callbacks(TrainingCallbackLocation.AFTER_TRAIN_ITERATION)
        lap("callbacks after")
        self.steps += 1
        self.seconds += clock[-1] - clock[0]

    def _run_callbacks(self, location: Any) -> None:
        for callback in self.trainer.callbacks:
            callback.run_callback_at_location(self.steps, location)


def peak_gib() -> float:
    """Peak memory so far: of the GPU's tensors, or else of this process."""
    from nerf_plugins.engine.memory import peak_mib

    return peak_mib(torch.device("cuda" if torch.cuda.is_available() else "cpu")) / 2**10


@torch.no_grad()
def evaluate(pipeline: Any, options: Options, picture: str | None) -> dict[str, float]:
    """Mean metrics of held-out images, PSNR also by their width where they have several, and median seconds a view.

    Args:
        pipeline: nerfstudio's.
        options: how many images, and where to.
        picture: name of a picture of the first view; None for none.
    """
    from nerf_plugins.models.metrics import image_metrics

    pipeline.eval()
    loader = pipeline.datamanager.fixed_indices_eval_dataloader
    chosen = set(np.linspace(0, len(loader) - 1, min(options.eval_images, len(loader))).round().astype(int))
    metrics: list[dict[str, float]] = []
    of_width: dict[int, list[float]] = {}
    for i, (camera, batch) in enumerate(loader):
        if i not in chosen:
            continue
        start = time.perf_counter()
        outputs = pipeline.model.get_outputs_for_camera(camera)
        synchronize()
        seconds = time.perf_counter() - start
        rgb = (outputs["rgb"] if "rgb" in outputs else outputs["rgb_fine"]).clamp(0, 1)
        image = batch["image"][..., :3].to(rgb.device)
        metrics.append(image_metrics(image, rgb) | {"s_per_view": seconds})
        of_width.setdefault(image.shape[1], []).append(metrics[-1]["psnr"])
        if picture is not None and options.output_dir is not None and i == min(chosen):
            save_picture(options.output_dir / f"{picture}.png", torch.cat([image, rgb], dim=1))
    pipeline.train()
    means = {key: float(np.mean([m[key] for m in metrics])) for key in metrics[0]}
    if len(of_width) > 1:
        means |= {f"psnr_of_{width}_pixels": float(np.mean(values)) for width, values in of_width.items()}
    return means | {"s_per_view": float(np.median([m["s_per_view"] for m in metrics]))}


def save_picture(path: Path, image: torch.Tensor) -> None:
    """Writes an (h, w, 3) image in [0, 1]."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((image.clamp(0, 1) * 255).byte().cpu().numpy()).save(path)


def train_method(options: Options, method: str) -> Result:
    """What a method's process does."""
    warnings.filterwarnings("ignore")
    allow_missing_lpips()
    is_peer = not method.split("+")[0].endswith("-custom")
    seconds = options.peer_seconds if is_peer and options.peer_seconds is not None else options.seconds
    try:
        return Run(options, method).train(seconds)
    except (SystemExit, InputError) as e:
        return Result(method, failure=str(e))
    except Exception as e:  # a peer that cannot run here does not stop the others
        return Result(method, failure=f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}")


def train_all(options: Options) -> list[Result]:
    """One method after the other, each in a process of its own: its peak memory is its own, and so is a crash."""
    results = []
    for method in options.methods:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            try:
                results.append(pool.submit(train_method, options, method).result())
            except BrokenProcessPool:
                results.append(Result(method, failure="its process died"))
        if results[-1].failure:
            console.print(f"[red]{method} did not run: {results[-1].failure}[/red]")
    return results


def main() -> None:
    """Trains and reports; fails if no method ran."""
    try:
        options = parse_options(sys.argv[1:])
    except InputError as e:
        raise SystemExit(str(e)) from e
    title = f"{device_name()}, torch {torch.__version__}, seed {options.seed}"
    console.print(title)
    results = train_all(options)
    console.print(report(results, title, options.output_dir), markup=False)
    if all(result.failure for result in results):
        raise SystemExit("no method ran")


if __name__ == "__main__":
    main()
