"""What a training has cost: time and memory, over all processes that it went on in."""

from __future__ import annotations

import time
from typing import Any

import torch

from nerf_plugins.engine.memory import peak_mib


class TrainingCost:
    """Counts from the first step of this process, on top of what a checkpoint says.

    Args:
        device: that the training is on.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.began: float | None = None
        self.seconds_before: float | None = 0.0
        self.peak_mib_before = 0.0

    def begin(self) -> None:
        """To be called before each step."""
        if self.began is None:
            self.began = time.monotonic()

    @property
    def seconds(self) -> float | None:
        """Wall-clock seconds of training, with the evaluations in between but without loading; None where an old checkpoint was loaded."""
        if self.seconds_before is None or self.began is None:
            return self.seconds_before
        return self.seconds_before + time.monotonic() - self.began

    @property
    def peak_mib(self) -> float:
        """The most memory that training took, in MiB (see `engine.memory.peak_mib`); 0 if it is not known."""
        return self.peak_mib_before if self.began is None else max(self.peak_mib_before, peak_mib(self.device))

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"train_seconds": self.seconds, "train_peak_mib": self.peak_mib}

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self.seconds_before = state.get("train_seconds")
        self.peak_mib_before = state.get("train_peak_mib", 0.0)
