"""Learning rate schedules whose state is made of Python numbers only, so that checkpoints load with ``weights_only``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from nerfstudio.engine.schedulers import Scheduler, SchedulerConfig
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


@dataclass
class WarmupExponentialSchedulerConfig(SchedulerConfig):
    """Linear warm-up, then exponential decay."""

    _target: type = field(default_factory=lambda: WarmupExponentialScheduler, kw_only=True)
    """target class to instantiate"""
    warmup_steps: int = 500
    """Steps over which the rate grows from 0."""
    lr_final: float = 5e-5
    """Rate at ``max_steps`` and after."""
    max_steps: int = 20000
    """Step at which ``lr_final`` is reached."""


class WarmupExponentialScheduler(Scheduler):
    r"""lr(step) = :math:`\text{lr} \cdot (\text{lr\_final}/\text{lr})^{\min(step/max\_steps, 1)} \cdot \min((step+1)/warmup\_steps, 1)`."""

    config: WarmupExponentialSchedulerConfig

    def get_scheduler(self, optimizer: Optimizer, lr_init: float) -> LambdaLR:
        """The schedule for an optimizer whose rate is ``lr_init``."""
        config, log_ratio = self.config, math.log(self.config.lr_final / lr_init)

        def factor(step: int) -> float:
            decay = math.exp(log_ratio * min(step / max(config.max_steps, 1), 1.0))
            return decay * min((step + 1) / max(config.warmup_steps, 1), 1.0)

        return LambdaLR(optimizer, lr_lambda=factor)
