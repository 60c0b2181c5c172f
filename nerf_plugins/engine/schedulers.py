"""Learning rate schedules as long as the training; their state is Python numbers only, so checkpoints load with ``weights_only``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from nerfstudio.engine.schedulers import Scheduler, SchedulerConfig
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from nerf_plugins.errors import InputError


@dataclass
class TrainingLengthSchedulerConfig(SchedulerConfig):
    """A schedule over the whole training."""

    max_steps: int | None = None
    """Step at which the schedule ends; the rate stays as it is from there on.
    None: the training's last step, which follows --max-num-iterations."""

    def __post_init__(self) -> None:
        if self.max_steps is not None and self.max_steps < 1:
            raise InputError(
                f"scheduler: max_steps must be >= 1, or None for the training's length, got {self.max_steps}"
            )

    @property
    def length(self) -> int:
        """``max_steps``, which the trainer has set by the time a schedule is asked for its rate."""
        assert self.max_steps is not None, "the trainer sets max_steps to the training's length"
        return self.max_steps


@dataclass
class WarmupExponentialSchedulerConfig(TrainingLengthSchedulerConfig):
    """Linear warm-up, then exponential decay."""

    _target: type = field(default_factory=lambda: WarmupExponentialScheduler, kw_only=True)
    """target class to instantiate"""
    warmup_steps: int = 500
    """Steps over which the rate grows from 0."""
    lr_final: float = 5e-5
    """Rate at ``max_steps`` and after."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lr_final > 0:
            raise InputError(f"scheduler: lr_final must be > 0, which a decay never reaches, got {self.lr_final:g}")


class WarmupExponentialScheduler(Scheduler):
    r"""lr(step) = :math:`\text{lr} \cdot (\text{lr\_final}/\text{lr})^{\min(step/max\_steps, 1)} \cdot \min((step+1)/warmup\_steps, 1)`."""

    config: WarmupExponentialSchedulerConfig

    def get_scheduler(self, optimizer: Optimizer, lr_init: float) -> LambdaLR:
        """The schedule for an optimizer whose rate is ``lr_init``."""
        config, log_ratio = self.config, math.log(self.config.lr_final / lr_init)

        def factor(step: int) -> float:
            decay = math.exp(log_ratio * min(step / config.length, 1.0))
            return decay * min((step + 1) / max(config.warmup_steps, 1), 1.0)

        return LambdaLR(optimizer, lr_lambda=factor)


@dataclass
class RisingSchedulerConfig(TrainingLengthSchedulerConfig):
    """A rate that rises linearly from 0 and then stays, for what has to come last. The optimiser's own lr does not matter."""

    _target: type = field(default_factory=lambda: RisingScheduler, kw_only=True)
    """target class to instantiate"""
    reach: float = 0.75
    """Sum of the rates while they rise: as far as Adam can carry a parameter, since its steps are about the rate."""
    share: float = 0.5
    """The rate rises over this share of ``max_steps``, and stays from there on."""
    rise_steps: int = 2000
    """It rises over no more steps than these, however long the training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1 or self.rise_steps < 1:
            raise InputError(
                f"scheduler: share must be in (0, 1] and rise_steps >= 1, got {self.share:g} and {self.rise_steps}"
            )


class RisingScheduler(Scheduler):
    r"""lr(step) = :math:`2\,\text{reach} \cdot \min(step+1, n) / n^2` with :math:`n = \min(share \cdot max\_steps, rise\_steps)`."""

    config: RisingSchedulerConfig

    def get_scheduler(self, optimizer: Optimizer, lr_init: float) -> LambdaLR:
        """The schedule for an optimizer, whatever its ``lr_init`` > 0."""
        config = self.config

        def factor(step: int) -> float:
            n = min(max(config.share * config.length, 1.0), config.rise_steps)
            return 2.0 * config.reach * min(step + 1, n) / n**2 / lr_init

        return LambdaLR(optimizer, lr_lambda=factor)
