"""As many rays as fit into a budget of samples."""

from __future__ import annotations

import torch
from torch import Tensor

# Samples a ray are followed slowly, so that one odd batch does not swing the number of rays.
_MEMORY = 0.8
# nerfstudio's pixel samplers of mixed sizes want an even number. A higher floor would make a step of rays with thousands of samples cost
# many times the budget; whose gradients are too noisy then, raises the budget.
_MIN_RAYS = 2


class RayBudget:
    """Follows the samples a ray has and says how many rays make up the budget.

    A batch's count is copied from the device while training goes on, and used once the copy has arrived: nothing waits. Until then no
    other batch is looked at, so that a device that is any number of steps behind the host is followed too.

    Args:
        samples_per_batch: the budget.
        max_rays: never more rays than this.
    """

    def __init__(self, samples_per_batch: int, max_rays: int) -> None:
        self.samples_per_batch = samples_per_batch
        self.max_rays = max_rays
        self._samples_per_ray: float | None = None
        self._pending: tuple[Tensor, int, torch.cuda.Event | None] | None = None

    def observe(self, *num_samples_per_ray: Tensor) -> None:
        """Starts to read the samples of a batch, unless a count is still on its way.

        Args:
            num_samples_per_ray: each (n_rays,); where there are several, the largest total counts.
        """
        if self._pending is not None:
            return
        totals = torch.stack([counts.sum(dtype=torch.float64) for counts in num_samples_per_ray])
        total = totals.amax().to("cpu", non_blocking=True)
        self._pending = (total, len(num_samples_per_ray[0]), _arrival(totals))

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
        self._pending = None
        # The mean of samples, not of the rays that would fit: one batch of almost none must not call for a thousand times as many rays.
        seen = float(total) / n_rays
        before = seen if self._samples_per_ray is None else self._samples_per_ray
        self._samples_per_ray = _MEMORY * before + (1 - _MEMORY) * seen
        wanted = self.samples_per_batch / max(self._samples_per_ray, self.samples_per_batch / self.max_rays)
        return max(2 * int(wanted / 2), _MIN_RAYS)


def _arrival(source: Tensor) -> torch.cuda.Event | None:
    """When what was just copied from a tensor will have arrived; None where it has."""
    if not source.is_cuda:
        return None
    copied = torch.cuda.Event()
    copied.record()
    return copied
