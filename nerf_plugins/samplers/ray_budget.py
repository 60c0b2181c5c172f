"""As many rays as fit into a budget of samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor

from nerf_plugins.errors import InputError

# Samples a ray are followed slowly, so that one odd batch does not swing the number of rays.
_MEMORY = 0.8
# nerfstudio's pixel samplers of mixed sizes want an even number. A higher floor would make a step of rays with thousands of samples cost
# many times the budget; whose gradients are too noisy then, raises the budget.
_MIN_RAYS = 2


@dataclass
class RayBudgetConfig:
    """How many rays a training batch has"""

    samples_per_batch: int | None = 1 << 13
    """The number of rays of a training batch follows the samples they have, so that a batch has about this many.
    None: always train_num_rays_per_batch rays."""
    max_rays_per_batch: int = 1 << 14
    """At most this many rays, however few samples they have."""
    capacity: int | None = None
    """On CUDA: room for samples in a training batch; the field is evaluated on all of it.
    Rays beyond it are dropped (metric dropped_rays). None: a quarter more than samples_per_batch, or 2^20 without that."""

    def __post_init__(self) -> None:
        for name in ("capacity", "max_rays_per_batch", "samples_per_batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"ray budget: {name} must be >= 1, got {value}")

    @property
    def room(self) -> int:
        """Room for samples in a training batch on CUDA."""
        if self.capacity is not None:
            return self.capacity
        return 1 << 20 if self.samples_per_batch is None else self.samples_per_batch * 5 // 4


class RayBudget:
    """Follows the samples a ray has and says how many rays make up the budget.

    A batch's count is copied from the device while training goes on, and used once the copy has arrived: nothing waits. Until then no
    other batch is looked at, so that a device that is any number of steps behind the host is followed too.

    Args:
        config: the budget; without ``samples_per_batch`` the number of rays stays what it is.
    """

    def __init__(self, config: RayBudgetConfig) -> None:
        self.config = config
        self._samples_per_ray: float | None = None
        self._pending: tuple[Tensor, int, torch.cuda.Event | None] | None = None

    def observe(self, n_rays: int, *n_samples: Shaped[Tensor, ""]) -> None:
        """Starts to read the samples of a batch, unless a count is still on its way.

        Args:
            n_rays: rays of the batch.
            n_samples: samples that they have together, or would have where the buffer had no room: were dropped ones not counted, a demand
                that rises at once would be seen late. Of several numbers the largest counts.
        """
        if self.config.samples_per_batch is None or self._pending is not None:
            return
        total = n_samples[0] if len(n_samples) == 1 else torch.stack(n_samples).amax()
        self._pending = (total.to("cpu", non_blocking=True), n_rays, _arrival(total))

    def rays(self, current: int) -> int:
        """Rays for the next batch, from the batches observed so far; even, as nerfstudio's pixel samplers want it.

        Args:
            current: rays of the batches until now.
        """
        if self._pending is None or self.config.samples_per_batch is None:
            return current
        total, n_rays, copied = self._pending
        if copied is not None and not copied.query():
            return current
        self._pending = None
        # The mean of samples, not of the rays that would fit: one batch of almost none must not call for a thousand times as many rays.
        seen = float(total) / max(n_rays, 1)
        before = seen if self._samples_per_ray is None else self._samples_per_ray
        self._samples_per_ray = _MEMORY * before + (1 - _MEMORY) * seen
        budget, most = self.config.samples_per_batch, self.config.max_rays_per_batch
        wanted = budget / max(self._samples_per_ray, budget / most)
        return max(2 * int(wanted / 2), _MIN_RAYS)


def _arrival(source: Tensor) -> torch.cuda.Event | None:
    """When what was just copied from a tensor will have arrived; None where it has."""
    if not source.is_cuda:
        return None
    copied = torch.cuda.Event()
    copied.record()
    return copied
