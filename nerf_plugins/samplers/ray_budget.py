"""As many rays as fit into a budget of samples."""

from __future__ import annotations

import torch
from torch import Tensor

# The number of rays follows slowly, so that one odd batch does not swing it; and never to so few that gradients are noise.
_MEMORY = 0.8
_MIN_RAYS = 64


class RayBudget:
    """Follows the samples a ray has and says how many rays make up the budget.

    The count is read from the device one call late, and only if the copy has finished by then: nothing waits.

    Args:
        samples_per_batch: the budget.
        max_rays: never more rays than this.
    """

    def __init__(self, samples_per_batch: int, max_rays: int) -> None:
        self.samples_per_batch = samples_per_batch
        self.max_rays = max_rays
        self._n_rays: float | None = None
        self._pending: tuple[Tensor, int, torch.cuda.Event | None] | None = None

    def observe(self, *num_samples_per_ray: Tensor) -> None:
        """Starts to read the samples of a batch. Each argument is (n_rays,); where there are several, the largest total counts."""
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
        if self._pending is None:
            return current
        total, n_rays, copied = self._pending
        if copied is not None and not copied.query():
            return current
        wanted = self.samples_per_batch * n_rays / max(float(total), 1.0)
        self._n_rays = wanted if self._n_rays is None else _MEMORY * self._n_rays + (1 - _MEMORY) * wanted
        self._n_rays = min(max(self._n_rays, _MIN_RAYS), self.max_rays)
        return max(2 * int(self._n_rays / 2), 2)
