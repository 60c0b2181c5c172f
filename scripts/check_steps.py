#!/usr/bin/env python3
"""Takes each method through whole training steps on fake CUDA: what the host waits for, what is launched, and how long it should take.

python scripts/check_steps.py nerf-hash-custom --rays 10000

Needs no GPU, and computes nothing (see scripts/fake_cuda.py).
"""

from __future__ import annotations

import contextlib
import copy
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
import yaml
from fake_cuda import Operation, Record, fake_cuda, in_phase, move_to_fake_cuda, replaced
from nerfstudio.engine.callbacks import TrainingCallbackLocation
from torch.amp.grad_scaler import GradScaler

import nerf_plugins.models.volumetric
from nerf_plugins.dataparsers.demo import DemoDataParserConfig
from nerf_plugins.engine.presets import resolve_presets
from nerf_plugins.fields.base import NO_DATASET

warnings.filterwarnings("ignore")


@dataclass
class Options:
    """Training steps on fake CUDA."""

    methods: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Their names; none for all of this package."""
    steps: tuple[int, ...] = (1006, 1007, 1008)
    """Which steps. The first makes the optimisers' state too; each 16th updates the grid."""
    rays: int = 8192
    """Rays of a batch; on a GPU their number follows the samples."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """An option of the configuration, as pipeline.model.sampler=hierarchical; may be given several times."""
    places: int = 0
    """Print so many of the lines that launch most."""


@dataclass
class Device:
    """What bounds a step. Theoretical peaks, and what of them large operations reach."""

    name: str = "H100 SXM"
    bytes_a_second: float = 0.8 * 3.35e12
    flops_a_second: dict[torch.dtype | None, float] | None = None
    shortest_kernel: float = 3e-6
    """Seconds from one small kernel to the next on the device."""
    launch: float = 8e-6
    """Seconds of the host for one of torch's operations with its share of autograd."""
    warp_launch: float = 4e-5
    """Seconds of the host for a launch of a Warp kernel."""

    def seconds(self, operation: Operation) -> float:
        """That the device works on an operation."""
        peak = {torch.bfloat16: 0.5 * 989e12, torch.float16: 0.5 * 989e12}.get(operation.dtype, 0.7 * 67e12)  # type: ignore[arg-type]
        return max(self.shortest_kernel, operation.n_bytes / self.bytes_a_second, operation.flops / peak)


def our_methods() -> dict[str, Any]:
    """Name -> specification, of this package's entry points."""
    found = entry_points(group="nerfstudio.method_configs")
    return {point.name: point.load() for point in found if point.value.startswith("nerf_plugins.")}


def make_trainer(specification: Any, overrides: Sequence[str], folder: Path) -> Any:
    """A trainer on the demo scene, on the CPU yet."""
    config = copy.deepcopy(specification.config)
    resolve_presets(config, "cuda")
    needs = config.pipeline.model.field.setup(dataset=NO_DATASET).needs
    scene = "moving" if "times" in needs else "demo"
    config.pipeline.datamanager.dataparser = DemoDataParserConfig(
        data=folder / "demo", scene=scene, resolution=64, num_train=4, num_val=2, num_test=2
    )
    config.machine.device_type, config.vis = "cpu", "tensorboard"
    config.output_dir, config.timestamp = folder / "outputs", "fake"
    for override in overrides:
        path, _, value = override.partition("=")
        *parents, name = path.split(".")
        target = config
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, name, yaml.safe_load(value))
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    return trainer


def move_trainer(trainer: Any) -> None:
    """Makes all that the trainer has on the device fake, as a trainer's set-up on CUDA would have it."""
    datamanager = trainer.pipeline.datamanager
    trainer.device = datamanager.device = "cuda:0"
    # What nerfstudio's trainer makes of these where the device is no CPU.
    trainer.mixed_precision = trainer.config.mixed_precision
    trainer.grad_scaler = GradScaler("cuda", enabled=trainer.use_grad_scaler)
    move_to_fake_cuda(trainer.pipeline)
    trainer.optimizers = trainer.setup_optimizers()
    loader = datamanager.train_image_dataloader
    stays = {"image_idx"} if not datamanager.config.images_on_gpu else set()
    for key, value in loader.cached_collated_batch.items():
        on_host = key in stays or (key == "image" and not datamanager.config.images_on_gpu)
        if isinstance(value, torch.Tensor):
            fake = torch.empty(value.shape, dtype=value.dtype, device="cpu" if on_host else "cuda")
            loader.cached_collated_batch[key] = fake
    datamanager.iter_train_image_dataloader = iter(loader)


def run_steps(trainer: Any, steps: Sequence[int], n_rays: int) -> Iterator[tuple[int, Record]]:
    """(step, what it did) of the loop in nerfstudio's Trainer.train, without its logging."""
    pipeline = trainer.pipeline
    budget = getattr(pipeline.model.sampler, "budget", None)
    record = Record()
    with (
        fake_cuda(record, float(budget.config.samples_per_batch) if budget is not None else 1.0),
        # How large a grid grows depends on values, which fakes have not; it does so a few times in a training, and may wait then.
        replaced((nerf_plugins.models.volumetric, "grow", lambda *_: []), *_phases(trainer, record)),
    ):
        move_trainer(trainer)
        for step in steps:
            record.operations, record.waits, record.phase = [], Counter(), "callbacks"
            trainer.step = step
            pipeline.train()
            _run_callbacks(trainer, step, TrainingCallbackLocation.BEFORE_TRAIN_ITERATION)
            pipeline.datamanager.train_pixel_sampler.set_num_rays_per_batch(n_rays)
            record.phase = "rest"
            trainer.train_iteration(step)
            _run_callbacks(trainer, step, TrainingCallbackLocation.AFTER_TRAIN_ITERATION)
            parameters = pipeline.model.named_parameters()
            record.without_gradient = [name for name, p in parameters if p.requires_grad and p.grad is None]
            yield step, replace(record)


def _phases(trainer: Any, record: Record) -> list[tuple[Any, str, Any]]:
    """What is to be replaced so that each operation has the name of its part of a step."""
    model, optimizers = type(trainer.pipeline.model), type(trainer.optimizers)
    parts = [
        (type(trainer.pipeline.datamanager), "next_train", "data"),
        (model, "forward", "forward"),
        (model, "get_metrics_dict", "metrics"),
        (model, "get_loss_dict", "loss"),
        (torch.Tensor, "backward", "backward"),
        (optimizers, "optimizer_scaler_step_some", "optimizer"),
    ]
    return [(target, name, in_phase(record, phase, getattr(target, name))) for target, name, phase in parts]


def _run_callbacks(trainer: Any, step: int, location: TrainingCallbackLocation) -> None:
    for callback in trainer.callbacks:
        callback.run_callback_at_location(step, location=location)


def record_method(name: str, overrides: Sequence[str], steps: Sequence[int], n_rays: int) -> list[tuple[int, Record]]:
    """(step, what it did) of some steps of a method.

    Args:
        name: the method's.
        overrides: of its configuration, as for ``--set``.
        steps: their numbers, ascending.
        n_rays: rays of a batch.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        trainer = make_trainer(our_methods()[name], overrides, Path(folder))
        return list(run_steps(trainer, steps, n_rays))


def describe(name: str, step: int, record: Record, n_places: int) -> list[str]:
    """Lines for a reader."""
    device, operations = Device(), record.operations
    warp = [operation for operation in operations if operation.name.startswith("warp ")]
    n_torch = len(operations) - len(warp)
    on_device = sum(device.seconds(operation) for operation in operations)
    on_host = n_torch * device.launch + len(warp) * device.warp_launch
    gigabytes, teraflops = sum(o.n_bytes for o in operations) / 1e9, sum(o.flops for o in operations) / 1e12
    phases = ", ".join(f"{phase} {n}" for phase, n in record.launches().items())
    lines = [
        f"{name}, step {step}: {n_torch} launches of torch, {len(warp)} of Warp ({phases})",
        f"  {gigabytes:.2f} GB in and out, {teraflops:.3f} TFLOP of products; {device.name}: {1e3 * on_device:.1f} ms on the device,"
        f" {1e3 * on_host:.1f} ms on the host",
        *(f"  the host waits {n} times: {what}" for what, n in record.waits.items()),
        *(f"  no gradient: {name}" for name in record.without_gradient),
    ]
    places = Counter(f"{operation.phase}: {operation.name}, {operation.place}" for operation in operations)
    return lines + [f"  {n:4d} {place}" for place, n in places.most_common(n_places)]


def main() -> None:
    """Prints what each method's steps do."""
    options = tyro.cli(Options)
    for name in options.methods or tuple(our_methods()):
        for step, record in record_method(name, options.set, options.steps, options.rays):
            print("\n".join(describe(name, step, record, options.places)))


if __name__ == "__main__":
    main()
