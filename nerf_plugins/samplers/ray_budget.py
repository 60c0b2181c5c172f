"""As many rays as fit into a budget of samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nerf_plugins.errors import InputError

# The number of rays follows slowly, so that one odd batch does not swing it; and never to so few that gradients are noise.
_MEMORY = 0.8
_MIN_RAYS = 64


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

    The count is read from the device one call late, and only if the copy has finished by then: nothing waits.

    Args:
        config: the budget; without ``samples_per_batch`` the number of rays stays what it is.
    """

    def __init__(self, config: RayBudgetConfig) -> None:
        self.config = config
        self._n_rays: float | None = None
        self._pending: tuple[Tensor, int, torch.cuda.Event | None] | None = None

    def observe(self, *num_samples_per_ray: Tensor) -> None:
        """Starts to read the samples of a batch. Each argument is (n_rays,); where there are several, the largest total counts."""
        if self.config.samples_per_batch is None:
            return
        totals = torch.stack([counts.sum(dtype=torch.float64) for counts in num_samples_per_ray])
        total = totals.amax().to("cpu", non_blocking=True)
        copied = None
        if totals.is_cuda:
            copied = torch.cuda.Event()
            copied.record()
        self._pending = (total, len(num_samples_per_ray[0]), copied)

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
        wanted = self.config.samples_per_batch * n_rays / max(float(total), 1.0)
        self._n_rays = wanted if self._n_rays is None else _MEMORY * self._n_rays + (1 - _MEMORY) * wanted
        self._n_rays = min(max(self._n_rays, _MIN_RAYS), self.config.max_rays_per_batch)
        return max(2 * int(self._n_rays / 2), 2)
