"""Optimisers that pay for large tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from nerfstudio.engine.optimizers import AdamOptimizerConfig
from torch.nn import Parameter
from torch.optim import Optimizer

from nerf_plugins.errors import InputError
from nerf_plugins.ops import masked_adam_


@dataclass
class FusedAdamOptimizerConfig(AdamOptimizerConfig):
    """Adam, all of its arithmetic in one pass over the parameters."""

    weight_decay: float = 0.0
    """Weight decay to use for the optimizer."""
    fused: bool = True
    """Use torch's fused implementation, on CUDA and CPU."""


@dataclass
class MaskedAdamOptimizerConfig(AdamOptimizerConfig):
    """Adam that leaves numbers without gradient, and their moments, as they are."""

    _target: type = field(default_factory=lambda: MaskedAdam, kw_only=True)
    """target class to instantiate"""
    weight_decay: float = 0.0
    """Not used."""


class MaskedAdam(Optimizer):
    """Adam on the numbers that have a gradient in a step, for grids of which a step sees a part: see :func:`ops.masked_adam_`.

    Args:
        params: parameters, or groups of them.
        lr: the learning rate.
        betas: decay of the moments.
        eps: added to the root of the second moment.
        weight_decay: must be 0.
    """

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-15,
        weight_decay: float = 0.0,
    ) -> None:
        if weight_decay != 0:
            raise InputError(f"optimizer: masked Adam knows no weight decay, got weight_decay {weight_decay:g}: give 0")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Moves all parameters that have a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)
        return loss

    def _move(self, parameter: Parameter, grad: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state |= {"step": 0, "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}
        state["step"] += 1
        options = {name: group[name] for name in ("lr", "betas", "eps")}
        masked_adam_(parameter.data, grad, state["exp_avg"], state["exp_avg_sq"], step=state["step"], **options)
