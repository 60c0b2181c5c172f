"""The training loop: random pixels, mean squared error, Adam."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nerf_plugins.calls import call_size, in_calls
from nerf_plugins.engine.memory import keep_freed_memory
from nerf_plugins.image_fitting.field import PictureField, pixel_centers
from nerf_plugins.models.metrics import psnr


@dataclass(frozen=True)
class Snapshot:
    """The picture after some steps."""

    step: int
    """Training steps before it."""
    seconds: float
    """Time spent in them; pictures do not count."""
    psnr: float
    """Of all pixels, in dB."""
    picture: Float[Tensor, "height width 3"]
    """On the CPU."""


@dataclass(frozen=True)
class Fit:
    """A training's course."""

    losses: Float[Tensor, "steps"]
    """Mean squared error of each step's pixels, on the CPU."""
    snapshots: list[Snapshot]
    """In the order of their steps."""


def fit_picture(
    field: PictureField,
    target: Float[Tensor, "height width 3"],
    *,
    steps: int,
    snapshot_steps: Sequence[int],
    lr: float,
    pixels_per_step: int = 8192,
    on_step: Callable[[int, Snapshot | None], None] | None = None,
) -> Fit:
    """Trains a field to show a picture: Adam on the mean squared error of pixels that are drawn at random.

    Args:
        field: is trained where it is (its device).
        target: the picture, in [0, 1].
        steps: training steps.
        snapshot_steps: after which numbers of steps to look at the whole picture; 0 is before the first.
        lr: learning rate at the start; it falls exponentially to a tenth at the end.
        pixels_per_step: pixels of a step.
        on_step: called after each step with the number of steps so far and the latest snapshot.

    Nothing waits for the device but the snapshots.
    """
    keep_freed_memory()
    device = next(field.parameters()).device
    height, width, _ = target.shape
    points, colors = pixel_centers(height, width).to(device), target.reshape(-1, 3).to(device)
    optimizer = torch.optim.Adam(field.parameters(), lr=lr, eps=1e-15, fused=True)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.1 ** (1 / max(steps, 1)))
    losses, snapshots, seconds = torch.zeros(steps, device=device), [], 0.0
    started = time.perf_counter()
    for step in range(steps + 1):
        if step in snapshot_steps:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds += time.perf_counter() - started
            picture = picture_of(field, height, width)
            snapshots.append(Snapshot(step, seconds, float(psnr(target.cpu(), picture)), picture))
            started = time.perf_counter()
        if on_step is not None:
            on_step(step, snapshots[-1] if snapshots else None)
        if step == steps:
            break
        chosen = torch.randint(len(points), (pixels_per_step,), device=device)
        loss = torch.mean((field(points[chosen]) - colors[chosen]) ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses[step] = loss.detach()
    return Fit(losses.cpu(), snapshots)


@torch.no_grad()
def picture_of(field: PictureField, height: int, width: int) -> Float[Tensor, "height width 3"]:
    """What the field shows, on the CPU."""
    points = pixel_centers(height, width).to(next(field.parameters()).device)
    return in_calls(field, points, size=call_size(points.device)).cpu().view(height, width, 3)
