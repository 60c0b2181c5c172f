"""Optimisers that pay for large tables."""

from __future__ import annotations

from dataclasses import dataclass

from nerfstudio.engine.optimizers import AdamOptimizerConfig


@dataclass
class FusedAdamOptimizerConfig(AdamOptimizerConfig):
    """Adam, all of its arithmetic in one pass over the parameters."""

    weight_decay: float = 0.0
    """Weight decay to use for the optimizer."""
    fused: bool = True
    """Use torch's fused implementation, on CUDA and CPU."""
